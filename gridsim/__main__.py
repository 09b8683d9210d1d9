"""The command line: ``gridsim`` and ``python -m gridsim``."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line, or say which extra it needs."""
    try:
        from gridsim.cli.app import app  # only this command needs what it imports
    except ModuleNotFoundError as missing:
        absent = (missing.name or "").partition(".")[0]
        if absent in {"gridsim", "dispatch", "optimizer", "twins", "edge"}:
            raise
        message = f"gridsim's commands need {absent}, which is not installed; they come with\n"
        sys.exit(message + '  pip install "gridsim[gridsim]"')
    app()


if __name__ == "__main__":
    main()
