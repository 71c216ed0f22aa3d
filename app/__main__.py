"""``studio`` and ``python -m app``."""

import sys

from app.process import INTERRUPTED, INTERRUPTED_CODE, own_process


def main() -> int:
    """Run the command that the arguments name and return its exit code."""
    try:
        with own_process():
            from app.cli import main as command  # noqa: PLC0415  # its imports are part of it

            return command()
    except KeyboardInterrupt:  # while all that is imported
        sys.stderr.write(f"studio: {INTERRUPTED}\n")
        return INTERRUPTED_CODE


if __name__ == "__main__":
    sys.exit(main())
