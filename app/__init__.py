"""The program around the engine: commands, and later the local server."""
