"""What the sections of a scenario file have in common: strictness, and values checked in place."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo, available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationInfo,
)

from gridsim.scenario.errors import ScenarioError
from twins.faults import Fault, did_you_mean
from twins.timegrid import to_utc

if TYPE_CHECKING:
    import numpy as np

YEARS = (1900, 2200)
"""Years that a horizon may lie in; far beyond them, times in nanoseconds overflow."""
_YEARS_TEXT = f", in the years {YEARS[0]} to {YEARS[1]}"


class Section(BaseModel):
    """A part of a scenario file: no unknown key, no guessed type, no NaN, frozen."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        allow_inf_nan=False,
        arbitrary_types_allowed=True,
        validate_by_name=True,
        validate_by_alias=True,
    )


def require_one(section: Section, keys: dict[str, str]) -> None:
    """Raise unless exactly one of `keys` (field name to the key in the file) was given."""
    given = [key for name, key in keys.items() if getattr(section, name) is not None]
    if len(given) != 1:
        found = f"{' and '.join(given)}" if given else ""
        raise refused("", found, f"give exactly one of {', '.join(keys.values())}")


def refused(where: str, found: object, allowed: str, hint: str = "") -> ScenarioError:
    """One fault as an error that a validator may raise; `where` is relative to its section."""
    text = found if isinstance(found, str) else repr(found)
    return ScenarioError("scenario", [Fault(where, text, allowed, hint)])


def _zone(name: str) -> str:
    if name not in available_timezones():
        hint = did_you_mean(name, available_timezones())
        raise refused("", name, "must be an IANA time zone such as Europe/Amsterdam or UTC", hint)
    return name


def _day(text: str) -> str:
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        try:
            year = dt.date.fromisoformat(text).year
        except ValueError:
            year = 0
        if YEARS[0] <= year <= YEARS[1]:
            return text
    raise refused("", text, f"must be a calendar day such as 2023-01-16{_YEARS_TEXT}")


def _moment(text: str) -> str:
    try:
        to_utc(text)
    except (ValueError, OverflowError) as error:
        allowed = "must be a moment with its offset such as 2023-01-16T00:00Z"
        reason = "states no UTC offset; " if "no UTC offset" in str(error) else ""
        raise refused("", text, reason + allowed) from None
    if not YEARS[0] <= dt.datetime.fromisoformat(text).year <= YEARS[1]:
        raise refused("", text, f"must be a moment{_YEARS_TEXT}")
    return text


def _data_file(given: Any, info: ValidationInfo) -> Path:
    """The path made absolute against the scenario's folder; it must be a readable file."""
    if not isinstance(given, str | Path) or not str(given):
        raise refused("", given, "must be the name of a file")
    folder = Path((info.context or {}).get("folder", ""))
    full = folder / given
    try:
        if full.is_dir():
            raise refused("", str(given), "must be a file, this is a folder")
        if not full.is_file():
            near = did_you_mean(full.name, _names_beside(full))
            raise refused("", str(given), "no such file beside the scenario", near)
    except (OSError, ValueError) as error:
        if isinstance(error, ScenarioError):
            raise
        raise refused("", str(given), "is no usable path") from None
    return full.resolve()


def _names_beside(path: Path) -> list[str]:
    return [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []


ZoneName = Annotated[str, AfterValidator(_zone)]
"""An IANA time zone."""

Day = Annotated[str, AfterValidator(_day)]
"""A calendar day, ``2023-01-16``."""

Moment = Annotated[str, AfterValidator(_moment)]
"""A moment with its UTC offset, ``2023-01-16T00:00Z``."""

DataFile = Annotated[Path, PlainValidator(_data_file, json_schema_input_type=str)]
"""A file, named relative to the scenario's folder; an absolute `Path` once it is checked."""

Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0, le=1e9)]
NonNegative = Annotated[float, Field(ge=0, le=1e9)]
Seed = Annotated[int, Field(ge=0, le=2**63 - 1)]
Text = Annotated[str, Field(min_length=1, max_length=2000)]


def local_midnight(day: dt.date, zone: str) -> np.datetime64:
    """The first instant of a local day, in UTC; days can have 23 or 25 hours."""
    midnight = dt.datetime.combine(day, dt.time(), ZoneInfo(zone))
    return to_utc(midnight)
