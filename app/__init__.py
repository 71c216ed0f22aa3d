"""The program around the engine: its commands and the local server."""
