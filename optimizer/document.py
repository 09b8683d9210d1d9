"""The portable form of a dispatch problem: what a JSON problem file may say.

These models describe the document and nothing else: types, keys and defaults. What the numbers mean
together is checked once, on the normal form (`optimizer.checks`). `gridsim schema problem` prints
the JSON schema that is made from them.

A *series* is one number for the whole horizon, or a list with one number an interval.
"""

from __future__ import annotations

import datetime as dt
import math
import re
import sys
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from twins.faults import shorten

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

NAME_PATTERN = r"^[^\s\x00-\x1f][^\x00-\x1f]{0,199}$"


_ENTRIES_SHOWN_MAX = 5
_LARGEST = sys.float_info.max
_YEAR_MIN, _YEAR_MAX = 1900, 2200
"""Nanoseconds since 1970 reach from 1678 to 2262; nobody dispatches a battery near either end."""


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("must be a number")  # noqa: TRY004  pydantic collects ValueError alone
    # A whole number of 400 digits is no float at all.
    if not math.isfinite(value) if isinstance(value, float) else abs(value) > _LARGEST:
        raise ValueError("must be a finite number")
    return float(value)


def _series(value: object) -> list[float]:
    if not isinstance(value, list):
        return [_alone(value, "must be a number, or a list of numbers")]
    if not value:
        raise ValueError("must be a number, or a list of numbers that is not empty")
    return _entries(value, "must hold finite numbers only", _number)


def _open_series(value: object) -> list[float | None]:
    """A series in which null means "none in this interval"."""
    if not isinstance(value, list):
        allowed = "must be a number or null, or a list of numbers and nulls"
        return [None if value is None else _alone(value, allowed)]
    if not value:
        raise ValueError("must be a number, or a list of numbers or nulls that is not empty")
    return _entries(value, "must hold finite numbers or nulls only", _number_or_null)


def _number_or_null(value: object) -> float | None:
    return None if value is None else _number(value)


def _alone(value: object, allowed: str) -> float:
    try:
        return _number(value)
    except ValueError:
        raise ValueError(allowed) from None


def _entries(values: list[Any], allowed: str, read: Callable[[object], T]) -> list[T]:
    """Every entry read, or one error that names those that cannot be."""
    found, bad = [], []
    for at, value in enumerate(values):
        try:
            found.append(read(value))
        except ValueError:
            bad.append(f"entry {at} is {_text(value)}")
    if bad:
        more = f" and {len(bad) - _ENTRIES_SHOWN_MAX} more" * (len(bad) > _ENTRIES_SHOWN_MAX)
        raise ValueError(f"{allowed}; {', '.join(bad[:_ENTRIES_SHOWN_MAX])}{more}")
    return found


def _text(value: object) -> str:
    """An entry as the file has it; a whole branch only by its kind."""
    kinds = {dict: "a mapping", list: "a list", type(None): "null"}
    return kinds.get(type(value)) or shorten(repr(value))


def _moment(value: object) -> dt.datetime:
    allowed = "must be an ISO 8601 moment with its UTC offset, e.g. 2023-01-16T00:00:00Z"
    if not isinstance(value, str):
        raise ValueError(allowed)  # noqa: TRY004  pydantic collects ValueError alone
    try:
        moment = dt.datetime.fromisoformat(value)
    except ValueError:
        raise ValueError(allowed) from None
    if moment.tzinfo is None:
        raise ValueError(f"{allowed}; this one names no offset")
    if not _YEAR_MIN <= moment.year < _YEAR_MAX:
        raise ValueError(f"must be a moment of the years {_YEAR_MIN} to {_YEAR_MAX - 1}")
    return moment


def _name(value: object) -> object:
    if isinstance(value, str) and not re.fullmatch(NAME_PATTERN, value):
        raise ValueError(
            "must be a name of 1 to 200 characters, no space first and no control character in it"
        )
    return value


def _schema(items: dict[str, Any]) -> WithJsonSchema:
    return WithJsonSchema({"anyOf": [items, {"type": "array", "items": items, "minItems": 1}]})


Number = Annotated[float, BeforeValidator(_number), WithJsonSchema({"type": "number"})]
Series = Annotated[list[float], BeforeValidator(_series), _schema({"type": "number"})]
OpenSeries = Annotated[
    list[float | None], BeforeValidator(_open_series), _schema({"type": ["number", "null"]})
]
Moment = Annotated[
    dt.datetime,
    BeforeValidator(_moment),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
Name = Annotated[
    str, BeforeValidator(_name), WithJsonSchema({"type": "string", "pattern": NAME_PATTERN})
]


class Document(BaseModel):
    """Base of all parts of the document: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class TimeDocument(Document):
    """The horizon: either start, step_minutes and count, or the list of instants."""

    start: Moment | None = Field(None, description="Start of the first interval.")
    step_minutes: Number | None = Field(None, description="Length of every interval.")
    count: int | None = Field(None, description="Number of intervals, at least 1.")
    instants: list[Moment] | None = Field(
        None, description="The N+1 edges of N intervals, if their lengths differ."
    )


class TargetDocument(Document):
    """Stored energy wanted at a moment of the horizon, also between two interval edges."""

    at: Moment
    energy_kwh_min: Number | None = Field(None, description="At least this much.")
    energy_kwh_max: Number | None = Field(None, description="At most this much.")
    breach_price_per_kwh: Number | None = Field(
        None,
        gt=0,
        description="Price of each kWh missing or surplus. Without it the target is firm: "
        "it yields only where nothing else is possible.",
    )


class EndValueDocument(Document):
    """One piece of the value of energy left at the end of the horizon."""

    energy_kwh: Number = Field(description="Width of the piece, counted from an empty store.")
    value_per_kwh: Number = Field(description="Value of each kWh in it; never above the last one.")


class UnitDocument(Document):
    """Where a unit sits: in a site, in a group (which may itself lie in a site), or in neither."""

    site_id: Name | None = Field(None, description="Site at whose meter the unit is settled.")
    group_id: Name | None = Field(
        None,
        description="Group whose limits count it. It is settled at the site that the group lies "
        "in; without one, at its own terminals.",
    )


class StoreDocument(UnitDocument):
    """What batteries and charging sessions share."""

    efficiency_charge: Series = Field([1.0], description="Terminal to store; above 0.")
    efficiency_discharge: Series = Field([1.0], description="Store to terminal; above 0.")
    standing_loss_per_h: Number = Field(
        0.0, description="Share of the stored energy lost in an hour, 0 up to below 1."
    )
    p_charge_kw_min: Number = Field(0.0, description="Least power when charging.")
    p_discharge_kw_min: Number = Field(0.0, description="Least power when discharging.")
    power_levels: int | None = Field(
        None, ge=1, description="Equal steps to full power; 1 means on or off."
    )
    wear_cost_charge_per_kwh: Number = Field(0.0, description="Per kWh at the terminals.")
    wear_cost_discharge_per_kwh: Number = Field(0.0, description="Per kWh at the terminals.")
    ramp_up_kw_per_h: Number | None = Field(
        None, description="Largest rise of p_kw, per hour between the intervals' midpoints."
    )
    ramp_down_kw_per_h: Number | None = Field(None, description="Largest fall of p_kw.")
    p_kw_initial: Number | None = Field(
        None, description="Power before the horizon, for the first ramp; positive charging."
    )
    p_kw_previous: OpenSeries = Field(
        [None], description="Power in the plan before this one; null for none."
    )
    change_price_per_kwh: Number = Field(
        0.0, ge=0, description="Price of each kWh by which the power differs from that plan's."
    )
    provides_reserve: bool = Field(
        False, description="Keeps reserves of its groups; not with steps or a least power."
    )


class BatteryDocument(StoreDocument):
    """A battery. Energies in kWh; the state of charge is energy over the largest energy_kwh_max."""

    battery_id: Name
    energy_kwh_max: Series = Field(
        description="Upper edge of the band: a number, or one for each of the N+1 instants."
    )
    energy_kwh_min: Series = Field([0.0], description="Lower edge of the band, likewise.")
    energy_kwh_initial: Number = Field(
        description="At the start; outside the band is normal input and is led back into it."
    )
    p_charge_kw_max: Series = Field(description="Largest charging power, at least 0.")
    p_discharge_kw_max: Series = Field(description="Largest discharging power, at least 0.")
    available: Series = Field([1.0], description="Share of each interval it can be used, 0 to 1.")
    inflow_kw: Series = Field([0.0], description="Gain of the store from elsewhere, at least 0.")
    usage_kw: Series = Field([0.0], description="Drain of the store by its owner, at least 0.")
    cycles_per_day_max: Number | None = Field(
        None,
        description="Equivalent full cycles a UTC day; both legs counted at the store, halved.",
    )
    targets: list[TargetDocument] = Field([], description="Energy wanted at moments.")
    energy_value_per_kwh: Number = Field(
        0.0, description="Value of each kWh left at the end of the horizon."
    )
    energy_value_pieces: list[EndValueDocument] = Field(
        [], description="Instead of one value: pieces from an empty store up, values never rising."
    )


class SessionDocument(StoreDocument):
    """A charging session: a store that is there from arrival to departure and wants energy."""

    session_id: Name
    arrival: Moment = Field(description="From when it can be charged; may lie in an interval.")
    departure: Moment = Field(description="Until when; the target holds at this moment.")
    energy_kwh_wanted: Number = Field(ge=0, description="Energy in the store at departure.")
    energy_kwh_initial: Number = Field(0.0, ge=0, description="Energy in the store at arrival.")
    energy_kwh_max: Number | None = Field(
        None, ge=0, description="Size of the store; without it, what is wanted."
    )
    p_charge_kw_max: Number = Field(ge=0)
    p_discharge_kw_max: Number = Field(0.0, ge=0, description="Above 0 for vehicle to grid.")
    breach_price_per_kwh: Number | None = Field(
        None, gt=0, description="Price of each kWh missing at departure; without it, firm."
    )


class GeneratorDocument(UnitDocument):
    """Generation that may be curtailed."""

    generator_id: Name
    p_kw_available: Series = Field(description="Output without curtailment, at least 0.")
    p_kw_min: Series = Field([0.0], description="What cannot be curtailed.")
    cost_per_kwh: Number = Field(0.0, description="Cost of each kWh generated.")


class SiteDocument(Document):
    """A meter: its net is settled at its prices. Units are in it by their site_id."""

    site_id: Name
    parent_id: Name | None = Field(None, description="Group the site is part of.")
    load_kw: Series = Field([0.0], description="Fixed consumption, at least 0.")
    generation_kw: Series = Field([0.0], description="Fixed generation, at least 0.")
    price_import_per_kwh: Series | None = Field(None, description="Default: the problem's.")
    price_export_per_kwh: Series | None = Field(None, description="Default: the problem's.")


class GroupDocument(Document):
    """A part of the grid, or of a site, whose net power can be limited; groups form a tree."""

    group_id: Name
    parent_id: Name | None = None
    load_kw: Series = Field(
        [0.0], description="Fixed consumption in it; settled only where the group lies in a site."
    )
    generation_kw: Series = Field([0.0], description="Fixed generation in it, likewise.")


class LimitDocument(Document):
    """A bound on the net power (positive: import) of a group, a site, or everything."""

    limit_id: Name | None = Field(None, description="Default: its place in the list.")
    group_id: Name | None = Field(None, description="A group or a site; without it, everything.")
    p_kw_max: OpenSeries = Field([None], description="Largest net import; null for none.")
    p_kw_min: OpenSeries = Field(
        [None], description="Least net import; -100 allows 100 kW of export; null for none."
    )
    breach_price_per_kwh: Number | None = Field(
        None, gt=0, description="Price of each kWh beyond the limit."
    )
    breach_price_per_kw: Number | None = Field(
        None, gt=0, description="Price of the largest breach of each side, once."
    )
    ramp_up_kw_per_h: Number | None = Field(
        None, description="Largest rise of the net, per hour between the intervals' midpoints."
    )
    ramp_down_kw_per_h: Number | None = Field(None, description="Largest fall of the net.")
    p_kw_initial: Number | None = Field(
        None, description="Net before the horizon, for the first ramp."
    )


class PeakChargeDocument(Document):
    """A price on the largest net import or export over the horizon."""

    peak_id: Name | None = Field(None, description="Default: its place in the list.")
    group_id: Name | None = Field(None, description="A group or a site; without it, everything.")
    price_per_kw: Number = Field(gt=0)
    side: Literal["import", "export"] = "import"
    p_kw_paid: Number = Field(0.0, ge=0, description="Peak that has been paid for already.")
    applies: list[bool] | None = Field(None, description="Intervals that count; default: all.")


class NetworkRowDocument(Document):
    """A bound on a weighted sum of powers in one interval, as a line or a voltage gives near an
    operating point. A row is scaled so that its value is in kW: its largest weight is about 1."""

    row_id: Name | None = Field(None, description="Default: its place in the list.")
    interval: int = Field(ge=0, description="The interval whose powers it sums, counted from 0.")
    batteries: dict[Name, Number] = Field(
        {}, description="Weight of a battery's or session's power, positive charging, by id."
    )
    generators: dict[Name, Number] = Field(
        {}, description="Weight of a generator's power by id; power drawn, so minus its output."
    )
    groups: dict[Name, Number] = Field(
        {}, description="Weight of the net power of a group or site by id, fixed load included."
    )
    whole: Number | None = Field(None, description="Weight of the net power of everything.")
    p_kw_max: Number | None = Field(None, description="Most that the sum may be.")
    p_kw_min: Number | None = Field(None, description="Least that the sum may be.")
    breach_price_per_kwh: Number | None = Field(
        None, gt=0, description="Price of each kWh beyond a bound; without it, firm."
    )


class PositionDocument(Document):
    """A committed net power, as from the day-ahead market; what deviates is paid for by the kWh.

    The two prices may not add up to less than 0 in any interval."""

    position_id: Name | None = Field(None, description="Default: its place in the list.")
    group_id: Name | None = Field(None, description="A group or a site; without it, everything.")
    p_kw: Series = Field(description="Committed net power, positive drawn.")
    price_above_per_kwh: Series = Field(description="Cost of each kWh of net above it.")
    price_below_per_kwh: Series = Field(
        description="Cost of each kWh of net below it; negative where it is sold again."
    )


class ReserveDocument(Document):
    """Power held ready by the batteries of a group together, with the energy behind it."""

    reserve_id: Name | None = Field(None, description="Default: its place in the list.")
    group_id: Name | None = Field(None, description="A group or a site; without it, everything.")
    direction: Literal["up", "down"] = Field(
        description="up: deliver more or draw less; down: the other way."
    )
    p_kw_required: Series = Field(description="Power wanted, at least 0.")
    duration_h: Number = Field(
        ge=0, description="For how long it must be possible to hold it, from either end."
    )
    breach_price_per_kwh: Number | None = Field(
        None, gt=0, description="Price of each kW missing and hour; without it, firm."
    )


class ProblemDocument(Document):
    """A dispatch problem. Power in kW, positive into the unit or group; prices per kWh or kW."""

    schema_version: Literal[1] = 1
    name: str = "problem"
    currency: str = Field("EUR", min_length=1)
    time: TimeDocument
    price_import_per_kwh: Series = Field(description="Paid for each kWh drawn.")
    price_export_per_kwh: Series | None = Field(
        None, description="Earned for each kWh delivered; default: the import price."
    )
    batteries: list[BatteryDocument] = []
    sessions: list[SessionDocument] = []
    generators: list[GeneratorDocument] = []
    sites: list[SiteDocument] = []
    groups: list[GroupDocument] = []
    limits: list[LimitDocument] = []
    peak_charges: list[PeakChargeDocument] = []
    network: list[NetworkRowDocument] = []
    positions: list[PositionDocument] = []
    reserves: list[ReserveDocument] = []
    scenarios: Literal[1] = Field(1, description="Reserved: one scenario for now.")


def problem_schema() -> dict[str, Any]:
    """The JSON schema of a problem file (JSON Schema 2020-12)."""
    schema = ProblemDocument.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
