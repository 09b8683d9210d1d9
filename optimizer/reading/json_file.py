"""JSON files at the border: one object, or one error that says what is wrong with the file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from optimizer.borders import path_text
from optimizer.problem import ProblemError
from twins.faults import FaultList

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILE_BYTES_MAX = 1_000_000_000
"""A larger file is refused before it is read: it would not fit into memory as objects."""


def load_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; repeated keys are refused.

    NaN and infinity come out as the floats they are: only a reader who knows what a key means can
    say where they stand and what would have been allowed.

    Raises:
        ProblemError: the file is missing, too large, no text, no JSON, or not an object.
    """
    faults = FaultList(str(path))
    content = read_json(path, faults)
    faults.raise_if_any(ProblemError)
    assert content is not None
    return content


def read_json(path: Path, faults: FaultList) -> dict[str, Any] | None:
    """As `load_json`, with the faults noted; None where nothing can be read on with."""
    text = _text(path, faults)
    if text is None:
        return None
    pairs = _Pairs()
    try:
        content = json.loads(text, object_pairs_hook=pairs)
    except json.JSONDecodeError as error:
        faults.add(f"line {error.lineno}, column {error.colno}", error.msg, "must be valid JSON")
        return None
    except ValueError as error:
        # Python refuses to read a whole number of thousands of digits.
        faults.add("file", str(error), "must be valid JSON with numbers of a usual length")
        return None
    except RecursionError:
        faults.add("file", "brackets nested too deeply", "must be one JSON object")
        return None
    for where, keys in pairs.repeated_in(content):
        faults.add(where, f"repeated key {', '.join(keys)}", "must name each key once")
    if isinstance(content, dict):
        return content
    faults.add("file", _KINDS[type(content)], "must be one JSON object")
    return None


_KINDS = {
    list: "a list", str: "a text", int: "a number", float: "a number", bool: "true or false",
    type(None): "null",
}  # fmt: skip


def _text(path: Path, faults: FaultList) -> str | None:
    try:
        size = path.stat().st_size
        if size <= FILE_BYTES_MAX:
            # A byte order mark is no part of the text; some editors write one.
            return path.read_text(encoding="utf-8-sig")
        faults.add("file", f"{size} bytes", f"must be at most {FILE_BYTES_MAX} bytes")
    except OSError as error:
        faults.add("file", error.strerror, "must be a file that can be read")
    except UnicodeDecodeError:
        faults.add("file", "bytes that are no UTF-8", "must be a JSON text file")
    return None


class _Pairs:
    """Makes the objects while they are parsed, and remembers those that name a key twice."""

    def __init__(self) -> None:
        # The objects are kept with their keys, so that no other object gets the same identity.
        self._repeating: dict[int, tuple[dict[str, Any], list[str]]] = {}

    def __call__(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        content = dict(pairs)
        if len(content) != len(pairs):
            keys = [key for key, _ in pairs]
            repeated = sorted({key for key in keys if keys.count(key) > 1})
            self._repeating[id(content)] = content, repeated
        return content

    def repeated_in(self, content: Any) -> Iterator[tuple[str, list[str]]]:
        """Path and repeated keys of every object that has some, in the order of the file."""
        stack: list[tuple[tuple[str | int, ...], Any]] = [((), content)]
        while stack and self._repeating:
            path, value = stack.pop()
            if known := self._repeating.pop(id(value), None):
                yield path_text(path), known[1]
            if isinstance(value, dict):
                stack += reversed([((*path, key), inner) for key, inner in value.items()])
            elif isinstance(value, list):
                stack += reversed([((*path, at), inner) for at, inner in enumerate(value)])
