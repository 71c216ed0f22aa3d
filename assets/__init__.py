"""The files that ship with Studio; they are read through ``importlib.resources``."""
