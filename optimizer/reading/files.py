"""From a JSON problem file to a checked `DispatchProblem`, or to one error with every fault."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from optimizer.borders import faults_from_pydantic
from optimizer.document import ProblemDocument
from optimizer.problem import DispatchProblem, ProblemError
from optimizer.reading.context import Reading, Remains
from optimizer.reading.json_file import read_json
from optimizer.reading.network import network_rows_of
from optimizer.reading.positions import positions_of
from optimizer.reading.reserves import reserves_of
from optimizer.reading.targets import targets_of
from optimizer.reading.tree import groups_of, limits_of
from optimizer.reading.units import batteries_of, generators_of
from twins.faults import FaultList

_LISTS = (
    "batteries",
    "sessions",
    "generators",
    "sites",
    "groups",
    "limits",
    "peak_charges",
    "network",
    "positions",
    "reserves",
)


_STAND_INS: dict[str, Any] = {
    "time": {"start": "2000-01-01T00:00:00Z", "step_minutes": 60, "count": 1},
    "price_import_per_kwh": 0.0,
}
"""For parts that are badly formed and have no default: the rest is read on with these."""


def read_problem(source: str | Path | dict[str, Any]) -> DispatchProblem:
    """Read a dispatch problem from a JSON file, or from its content as a dict.

    Raises:
        ProblemError: the file cannot be read or anything in it is wrong; every fault is named.
    """
    if isinstance(source, dict):
        return problem_from_document(source, str(source.get("name", "problem")))
    path = Path(source)
    faults = FaultList(str(path))
    content = read_json(path, faults)
    if content is None:
        faults.raise_if_any(ProblemError)
        raise AssertionError("a file that is refused names a fault")
    return _problem(content, faults)


def problem_from_document(content: dict[str, Any], source: str) -> DispatchProblem:
    """A checked problem from a document's content.

    What is badly formed is reported together with what is inconsistent among the well-formed rest,
    so that one reading names every fault.

    Raises:
        ProblemError: anything is wrong.
    """
    return _problem(content, FaultList(source))


def _problem(content: dict[str, Any], faults: FaultList) -> DispatchProblem:
    """The problem, unless `faults` holds any from before or from here."""
    document, remains = _well_formed(content, faults)
    problem = _normal_form(document, remains, faults, content)
    faults.raise_if_any(ProblemError)
    assert problem is not None
    return problem


def _normal_form(
    document: ProblemDocument, remains: Remains, faults: FaultList, content: dict[str, Any]
) -> DispatchProblem | None:
    """The problem, or None where it is inconsistent; what only shows here is added to `faults`."""
    reading = Reading(document, remains, faults)
    price_import = price_export = reading.series(
        document.price_import_per_kwh, "price_import_per_kwh"
    )
    if document.price_export_per_kwh is not None:
        price_export = reading.series(document.price_export_per_kwh, "price_export_per_kwh")
    try:
        return DispatchProblem(
            grid=reading.grid,
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
            network=network_rows_of(reading),
            positions=positions_of(reading),
            reserves=reserves_of(reading),
        )
    except ProblemError as error:
        faults.extend(reading.in_document_words(error.faults))
        return None


def _well_formed(content: dict[str, Any], faults: FaultList) -> tuple[ProblemDocument, Remains]:
    """The document without its badly formed rows and parts, and what is left of the file."""
    places = {name: list(range(_length(content, name))) for name in _LISTS}
    try:
        return ProblemDocument.model_validate(content), Remains(places)
    except ValidationError as error:
        faults.extend(faults_from_pydantic(error, ProblemDocument))
        bad = {entry["loc"][:2] for entry in error.errors()}
    lost = {str(loc[0]) for loc in bad if loc[0] not in _LISTS or len(loc) == 1}
    known = {key: value for key, value in content.items() if key in ProblemDocument.model_fields}
    sound = {key: value for key, value in known.items() if key not in lost}
    sound |= {key: value for key, value in _STAND_INS.items() if key in lost}
    for name in _LISTS:
        places[name] = [at for at in places[name] if (name, at) not in bad]
        if isinstance(sound.get(name), list):
            sound[name] = [content[name][at] for at in places[name]]
    dropped = [loc for loc in bad if loc[0] in _LISTS]
    ids = frozenset(name for loc in dropped for name in _ids(content, loc))
    remains = Remains(
        places,
        has_units=not any(loc[0] in ("batteries", "sessions", "generators") for loc in dropped),
        has_groups=not lost & {"sites", "groups"},
        has_time="time" not in lost,
        refused_ids=ids,
    )
    return ProblemDocument.model_validate(sound), remains


def _length(content: dict[str, Any], name: str) -> int:
    rows = content.get(name, [])
    return len(rows) if isinstance(rows, list) else 0


def _ids(content: dict[str, Any], loc: tuple[str | int, ...]) -> list[str]:
    """Names under which other rows may refer to a row that was refused."""
    row = content[str(loc[0])][loc[1]] if len(loc) == 2 else None
    if not isinstance(row, dict):
        return []
    return [row[key] for key in ("site_id", "group_id") if isinstance(row.get(key), str)]
