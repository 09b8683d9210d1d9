"""Where a command may write, found out before it starts to work."""

from __future__ import annotations

import os
from pathlib import Path

from twins.faults import Fault, InvalidInputError


def file_to_write(path: Path | None) -> None:
    """Refuse a place where no file can be written.

    Raises:
        InvalidInputError: it is a folder, or its own folder does not exist or cannot be written.
    """
    if path is None:
        return
    folder = path.absolute().parent
    if path.is_dir():
        _refuse(path, "must be a file; this is a folder")
    if not folder.is_dir():
        _refuse(path, f"must lie in a folder; {folder} is none")
    if not path.exists() and not os.access(folder, os.W_OK):
        _refuse(path, f"must lie in a folder that can be written; {folder} cannot")


def folder_to_write(path: Path | None) -> None:
    """Refuse a place where no folder can be made or written.

    Raises:
        InvalidInputError: it, or the part of its path that exists, is a file or is write-protected.
    """
    if path is None:
        return
    nearest = path.absolute()
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    if not nearest.is_dir():
        _refuse(
            path, "must be a folder; " + ("this" if path.exists() else str(nearest)) + " is a file"
        )
    if not os.access(nearest, os.W_OK):
        _refuse(path, f"must be a folder that can be written; {nearest} cannot")


def _refuse(path: Path, allowed: str) -> None:
    raise InvalidInputError("gridsim", [Fault("--output", str(path), allowed)])
