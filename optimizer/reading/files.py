"""From a JSON problem file to a checked `DispatchProblem`, or to one error with every fault."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from optimizer.borders import faults_from_pydantic
from optimizer.document import ProblemDocument
from optimizer.problem import DispatchProblem, ProblemError
from optimizer.reading.context import Reading, read_grid
from optimizer.reading.targets import targets_of
from optimizer.reading.tree import groups_of, limits_of
from optimizer.reading.units import batteries_of, generators_of
from twins.faults import FaultList

FILE_BYTES_MAX = 1_000_000_000
"""A larger problem file is refused before it is read: it would not fit into memory as objects."""

_LISTS = ("batteries", "sessions", "generators", "sites", "groups", "limits", "peak_charges")


def read_problem(source: str | Path | dict[str, Any]) -> DispatchProblem:
    """Read a dispatch problem from a JSON file, or from its content as a dict.

    Raises:
        ProblemError: the file cannot be read or anything in it is wrong; every fault is named.
    """
    if isinstance(source, dict):
        return problem_from_document(source, str(source.get("name", "problem")))
    path = Path(source)
    return problem_from_document(load_json(path), str(path))


def load_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; NaN, infinity and repeated keys are refused.

    Raises:
        ProblemError: the file is missing, too large, no text, no JSON, or not an object.
    """
    faults = FaultList(str(path))
    content: Any = None
    try:
        size = path.stat().st_size
        if size > FILE_BYTES_MAX:
            faults.add("file", f"{size} bytes", f"must be at most {FILE_BYTES_MAX} bytes")
        else:
            text = path.read_text(encoding="utf-8")
            content = json.loads(
                text, parse_constant=_refuse_constant, object_pairs_hook=_refuse_repeated
            )
    except OSError as error:
        faults.add("file", error.strerror, "must be a file that can be read")
    except UnicodeDecodeError:
        faults.add("file", "bytes that are no UTF-8", "must be a JSON text file")
    except json.JSONDecodeError as error:
        faults.add(f"line {error.lineno}, column {error.colno}", error.msg, "must be valid JSON")
    except _RefusedContentError as error:
        faults.add("file", error.found, error.allowed)
    except RecursionError:
        faults.add("file", "brackets nested too deeply", "must be a problem document")
    if not len(faults) and not isinstance(content, dict):
        faults.add("file", type(content).__name__, "must be one JSON object")
    faults.raise_if_any(ProblemError)
    assert isinstance(content, dict)
    return content


class _RefusedContentError(ValueError):
    def __init__(self, found: str, allowed: str) -> None:
        super().__init__(found)
        self.found, self.allowed = found, allowed


def _refuse_constant(name: str) -> float:
    raise _RefusedContentError(name, "must be finite; leave out what is unknown")


def _refuse_repeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        keys = [key for key, _ in pairs]
        repeated = sorted({key for key in keys if keys.count(key) > 1})
        raise _RefusedContentError(f"repeated key {', '.join(repeated)}", "must name each key once")
    return content


def problem_from_document(content: dict[str, Any], source: str) -> DispatchProblem:
    """A checked problem from a document's content.

    What is badly formed is reported together with what is inconsistent among the well-formed rest,
    so that one reading names every fault.

    Raises:
        ProblemError: anything is wrong.
    """
    faults = FaultList(source)
    document, places = _well_formed(content, faults)
    if document is not None:
        problem = _normal_form(document, places, faults, content)
        if problem is not None and not len(faults):
            return problem
    faults.raise_if_any(ProblemError)
    raise AssertionError("a document that is refused names a fault")


def _normal_form(
    document: ProblemDocument,
    places: dict[str, list[int]],
    faults: FaultList,
    content: dict[str, Any],
) -> DispatchProblem | None:
    """The problem, or None where it is inconsistent; what only shows here is added to `faults`."""
    grid = read_grid(document.time, faults)
    if grid is None:
        return None
    reading = Reading(document, places, grid, faults)
    price_import = price_export = reading.series(
        document.price_import_per_kwh, "price_import_per_kwh"
    )
    if document.price_export_per_kwh is not None:
        price_export = reading.series(document.price_export_per_kwh, "price_export_per_kwh")
    try:
        return DispatchProblem(
            grid=grid,
            price_import_per_kwh=price_import,
            price_export_per_kwh=price_export,
            batteries=batteries_of(reading),
            generators=generators_of(reading),
            groups=groups_of(reading, price_import, price_export),
            limits=limits_of(reading),
            targets=targets_of(reading),
            name=document.name,
            currency=document.currency,
            document=content,
        )
    except ProblemError as error:
        faults.extend(error.faults)
        return None


def _well_formed(
    content: dict[str, Any], faults: FaultList
) -> tuple[ProblemDocument | None, dict[str, list[int]]]:
    """The document without its badly formed rows, and the rows' places in the file."""
    places = {name: list(range(_length(content, name))) for name in _LISTS}
    try:
        return ProblemDocument.model_validate(content), places
    except ValidationError as error:
        faults.extend(faults_from_pydantic(error, ProblemDocument))
        bad = {entry["loc"][:2] for entry in error.errors() if entry["loc"][0] in _LISTS}
    pruned = {key: value for key, value in content.items() if key in ProblemDocument.model_fields}
    for name in _LISTS:
        places[name] = [at for at in places[name] if (name, at) not in bad]
        if isinstance(content.get(name), list):
            pruned[name] = [content[name][at] for at in places[name]]
    try:
        return ProblemDocument.model_validate(pruned), places
    except ValidationError:
        return None, places  # a fault outside the lists: the rest cannot be judged without it


def _length(content: dict[str, Any], name: str) -> int:
    rows = content.get(name, [])
    return len(rows) if isinstance(rows, list) else 0
