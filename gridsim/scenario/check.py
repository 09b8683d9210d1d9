"""From what a file says to a checked `Scenario`, with every fault of it in one list.

A validator that compares two values runs only once both are well-formed. To find those faults too,
what was refused is mended (an unknown key left out, a refused value replaced by its default or its
example) and the mended document is checked again. A mended document is never used for anything
else.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from gridsim.scenario.model import Scenario
from optimizer.borders import faults_from_pydantic, field_at, path_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from twins.faults import Fault

    Path_ = tuple[str | int, ...]

_ROUNDS_MAX = 4
_UNKNOWN = "unknown key"
_ONE_OF = "give exactly one of"


def check_mapping(content: Any, folder: Path) -> tuple[Scenario | None, list[Fault]]:
    """The scenario that `content` describes, or a mended one with the faults it had.

    Returns:
        The scenario (None where it could not even be mended) and its faults; only without faults
        is the scenario what the document says.
    """
    faults: list[Fault] = []
    mended = content
    for _ in range(_ROUNDS_MAX):
        try:
            scenario = Scenario.model_validate(mended, context={"folder": folder})
            return scenario.within(folder), faults
        except ValidationError as error:
            new = faults_from_pydantic(error, Scenario)
        fresh = [fault for fault in new if not _follows(fault, faults)]
        faults.extend(fresh)
        if not isinstance(mended, dict) or not new:
            break
        mended = _mended(mended, new)
    return None, faults


def untouched(faults: Iterable[Fault], *paths: str) -> bool:
    """Whether no fault lies at, above or below any of these paths."""
    marked = [fault.where for fault in faults]
    return not any(_related(path, where) for path in paths for where in marked)


def _related(one: str, other: str) -> bool:
    short, long = sorted((one, other), key=len)
    return long == short or long.startswith((f"{short}.", f"{short}[")) or short == "document"


def _follows(fault: Fault, earlier: Iterable[Fault]) -> bool:
    """Whether a fault only comes from mending an earlier one, or says it again."""
    if fault.allowed.startswith(_ONE_OF):
        return any(_related(fault.where, e.where) for e in earlier)
    return any(fault.where == e.where for e in earlier)


def _mended(document: dict[str, Any], faults: Iterable[Fault]) -> dict[str, Any]:
    """A copy without unknown keys, with defaults or examples in place of what was refused."""
    mended = copy.deepcopy(document)
    paths = {path_text(path): path for path in _paths(document)}
    for fault in faults:
        path = paths.get(fault.where) or _missing(fault.where, paths)
        if not fault.allowed.startswith(_UNKNOWN):
            path = _stated(path)
        if path:
            _mend(mended, path)
    return mended


def _missing(where: str, paths: Mapping[str, Path_]) -> Path_:
    """The path of a key that the document lacks."""
    above, _, key = where.rpartition(".")
    return (*paths.get(above, ()), key)


def _stated(path: Path_) -> Path_:
    """The nearest path above that the schema states: free mappings are mended as a whole."""
    while path and not isinstance(path[-1], int) and field_at(Scenario, path) is None:
        path = path[:-1]
    return path


def _mend(document: dict[str, Any], path: Path_) -> None:
    above: Any = document
    for part in path[:-1]:
        inside = above.get(part) if isinstance(above, dict) else None
        above = above[part] if isinstance(above, list) and isinstance(part, int) else inside
    field = field_at(Scenario, path)
    if isinstance(above, list):
        above[:] = [entry for at, entry in enumerate(above) if at != path[-1]]
    elif isinstance(above, dict):
        above.pop(path[-1], None)
        if field is not None and field.examples:
            above[path[-1]] = copy.deepcopy(field.examples[0])


def _paths(value: Any, path: Path_ = ()) -> Iterator[Path_]:
    """The path of every value in a document."""
    entries: Iterable[tuple[str | int, Any]] = ()
    if isinstance(value, dict):
        entries = value.items()
    elif isinstance(value, list):
        entries = enumerate(value)
    for key, inside in entries:
        yield (*path, key)
        yield from _paths(inside, (*path, key))
