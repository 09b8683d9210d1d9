"""Where the scenarios that come with the project are."""

from __future__ import annotations

from pathlib import Path

import gridsim


def shipped_folder() -> Path:
    """The folder of the shipped scenarios: in the installed package, else beside it."""
    package = Path(gridsim.__file__).resolve().parent
    installed = package / "_scenarios"
    return installed if installed.is_dir() else package.parent / "scenarios"


def shipped_files() -> dict[str, Path]:
    """The shipped scenarios' files by name."""
    return {path.stem: path for path in sorted(shipped_folder().glob("*.yaml"))}
