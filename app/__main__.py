"""``studio`` and ``python -m app``."""

import sys

from app.process import own_process


def main() -> int:
    """Run the command that the arguments name and return its exit code."""
    with own_process():
        from app.cli import main as command  # noqa: PLC0415  # its imports are part of the process

        return command()


if __name__ == "__main__":
    sys.exit(main())
