"""The program ``Studio``: the panel, or what its arguments ask for."""

import multiprocessing
import sys

if __name__ == "__main__":
    multiprocessing.freeze_support()
    from app.frozen_start import start_desktop

    sys.exit(start_desktop(sys.argv[1:]))
