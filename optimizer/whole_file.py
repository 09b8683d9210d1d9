"""Files that appear whole or not at all."""

from __future__ import annotations

import secrets
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """A path to write to; what is there in the end becomes `path` at once.

    Where the block raises or is interrupted, `path` stays as it was. Of several writers at once,
    in one process or in many, the last to end wins.

    Raises:
        OSError: the folder does not exist or cannot be written.
    """
    path = Path(path)
    if path.exists() and not path.is_file() and not path.is_dir():
        yield path  # a pipe or a terminal has no older content to keep
        return
    if path.is_dir():
        raise IsADirectoryError(21, "is a folder; a file is to be written here", str(path))
    if not path.parent.is_dir():
        raise FileNotFoundError(2, "there is no such folder", str(path.parent))
    # A name of its own, since threads share a process, and a short one: any name that `path` may
    # have leaves no room for more.
    partial = path.with_name(f".{secrets.token_hex(8)}.partial")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
