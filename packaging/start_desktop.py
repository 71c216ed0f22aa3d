"""The program ``Studio``: the panel, or what its arguments ask for."""

import multiprocessing
import sys

if __name__ == "__main__":
    multiprocessing.freeze_support()
    from app.process import own_process

    with own_process():
        from app.frozen_start import start_desktop

        code = start_desktop(sys.argv[1:])
    sys.exit(code)
