"""Dataclasses of numbers that say their own bounds, and reading them from a plain mapping."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields, is_dataclass
from typing import TYPE_CHECKING, Any, cast, get_type_hints

from twins.faults import FaultList, InvalidInputError, did_you_mean

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


class TechnologyError(InvalidInputError):
    """Technology parameters that were refused; `faults` names every reason."""


@dataclass(frozen=True)
class Bounds:
    """The closed range in which a parameter makes sense."""

    low: float
    high: float

    def allowed(self) -> str:
        """The range in words."""
        return f"must be a number from {self.low:g} to {self.high:g}"

    def hold(self, value: object) -> bool:
        """Whether `value` is a finite number in the range."""
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return False
        return math.isfinite(value) and self.low <= value <= self.high


def bounded(low: float, high: float, default: float) -> float:
    """A dataclass field for a number from `low` to `high`, with its default."""
    made: float = field(default=default, metadata={"bounds": Bounds(low, high)})
    return made


def check_fields(parameters: DataclassInstance, faults: FaultList, where: str) -> None:
    """Note each number in `parameters` that lies outside its stated bounds."""
    for one in fields(parameters):
        check_value(one, getattr(parameters, one.name), faults, f"{where}{one.name}")


def check_value(one: Field[Any], value: object, faults: FaultList, where: str) -> bool:
    """Note a fault, and answer False, where a value lies outside its field's bounds."""
    bounds = one.metadata.get("bounds")
    if bounds is None or bounds.hold(value):
        return True
    faults.add(where, value, bounds.allowed())
    return False


def read_into(base: DataclassInstance, given: object, faults: FaultList, where: str) -> Any:
    """`base` with the values in `given` in place of its own; faults are noted, not raised.

    Nested dataclasses take nested mappings, so one number deep inside can be given alone.
    """
    if not isinstance(given, Mapping):
        faults.add(where.rstrip("."), given, "must be a mapping of parameters")
        return base
    known = {one.name: one for one in fields(base)}
    kinds = get_type_hints(type(base))
    values = {name: getattr(base, name) for name in known}
    before = len(faults)
    for key, value in given.items():
        path = f"{where}{key}"
        if key not in known:
            faults.add(path, None, "is no parameter", did_you_mean(str(key), known))
        elif is_dataclass(values[key]):
            values[key] = read_into(cast(Any, values[key]), value, faults, f"{path}.")
        elif kinds[key] is str and not isinstance(value, str):
            faults.add(path, value, "must be text")
        elif check_value(known[key], value, faults, path):
            values[key] = value if isinstance(value, str) else float(cast(float, value))
    return base if len(faults) > before else _made(type(base), values, faults, where)


def _made(kind: type, values: dict[str, Any], faults: FaultList, where: str) -> Any:
    """The dataclass made; faults that only show between its numbers are passed on with a path."""
    try:
        return kind(**values)
    except TechnologyError as error:
        for fault in error.faults:
            faults.add(f"{where}{fault.where}", fault.found, fault.allowed, fault.hint)
        return kind()
