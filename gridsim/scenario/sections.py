"""The sections of a scenario file, except for the fleet: when, where, at what price, how strict."""

from __future__ import annotations

import datetime as dt
import re
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from gridsim.scenario.base import (
    DataFile,
    Day,
    Fraction,
    Moment,
    NonNegative,
    Positive,
    Section,
    Seed,
    Text,
    ZoneName,
    local_midnight,
    refused,
    require_one,
)
from twins.timegrid import TimeGrid, to_utc

DAYS_MAX = 366
_UNIT = re.compile(r"(?P<currency>[A-Z]{3})/(?P<energy>MWh|kWh)|ct/kWh")


class Horizon(Section):
    """The time that is planned: from a local day, or from a moment."""

    day: Day | None = Field(
        default=None,
        description="first day, in the scenario's time_zone, e.g. 2023-01-16",
        examples=["2023-01-16"],
    )
    start: Moment | None = Field(
        default=None,
        description="first moment with its offset, instead of day",
        examples=["2023-01-16T00:00Z"],
    )
    days: Annotated[int, Field(ge=1, le=DAYS_MAX)] | None = Field(
        default=None, description="number of days; local days may have 23 or 25 hours (default 1)"
    )
    intervals: Annotated[int, Field(ge=1, le=100_000)] | None = Field(
        default=None, description="number of intervals, instead of days"
    )
    step_minutes: Annotated[int, Field(ge=1, le=24 * 60)] = Field(
        default=30, description="length of an interval in minutes"
    )

    @model_validator(mode="after")
    def _one_start(self) -> Horizon:
        require_one(self, {"day": "day", "start": "start"})
        if self.days is not None and self.intervals is not None:
            raise refused("", "days and intervals", "give one of them")
        if (self.intervals or 0) * self.step_minutes > DAYS_MAX * 24 * 60:
            raise refused("intervals", self.intervals, f"must not span more than {DAYS_MAX} days")
        if self.intervals is None and 24 * 60 % self.step_minutes:
            allowed = "must divide a day; or give intervals instead of days"
            raise refused("step_minutes", self.step_minutes, allowed)
        return self

    def time_grid(self, zone: str) -> TimeGrid:
        """The intervals, counted from the start to the end of the last local day.

        Raises:
            ScenarioError: a day that is no whole number of intervals long.
        """
        step = dt.timedelta(minutes=self.step_minutes)
        if self.day is not None:
            first = dt.date.fromisoformat(self.day)
            start = local_midnight(first, zone)
            end = local_midnight(first + dt.timedelta(days=self.days or 1), zone)
        else:
            assert self.start is not None
            start = to_utc(self.start)
            end = start + (self.days or 1) * 86_400_000_000_000
        minutes = int((end - start).astype("timedelta64[m]").astype(int))
        count = self.intervals or minutes // self.step_minutes
        if self.intervals is None and minutes % self.step_minutes:
            allowed = f"must divide the {minutes} minutes of this horizon"
            raise refused("step_minutes", self.step_minutes, allowed)
        at = start.astype("datetime64[us]").item().replace(tzinfo=dt.UTC)
        return TimeGrid.uniform(at, step, count)


class GridLimits(Section):
    """Limits instead of the grid file's own: one number, or numbers by nominal voltage in kV."""

    v_pu_min: Annotated[float, Field(ge=0.5, le=1.5)] | dict[float, float] | None = Field(
        default=None, description="lowest voltage, per unit"
    )
    v_pu_max: Annotated[float, Field(ge=0.5, le=1.5)] | dict[float, float] | None = Field(
        default=None, description="highest voltage, per unit"
    )
    loading_max: Annotated[float, Field(ge=0.01, le=10)] | dict[float, float] | None = Field(
        default=None, description="highest loading of lines and transformers, as a fraction"
    )

    @model_validator(mode="before")
    @classmethod
    def _voltages_as_numbers(cls, given: Any) -> Any:
        """YAML's reader hands keys over as text; voltages are numbers."""
        if not isinstance(given, dict):
            return given
        return {key: _number_keys(value) for key, value in given.items()}

    @model_validator(mode="after")
    def _ordered(self) -> GridLimits:
        low, high = self.v_pu_min, self.v_pu_max
        if isinstance(low, float) and isinstance(high, float) and low >= high:
            raise refused("v_pu_min", low, f"must be below v_pu_max, which is {high:g}")
        return self


def _number_keys(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {_number_or_same(key): entry for key, entry in value.items()}


def _number_or_same(key: Any) -> Any:
    try:
        return float(key)
    except (TypeError, ValueError):
        return key


class GridSource(Section):
    """The grid; give exactly one of simbench, pandapower_json and pandapower_network."""

    simbench: Text | None = Field(default=None, description="a SimBench code")
    pandapower_json: DataFile | None = Field(
        default=None, description="a file written by pandapower.to_json"
    )
    pandapower_network: Text | None = Field(
        default=None, description="a function of pandapower.networks, e.g. create_cigre_network_lv"
    )
    arguments: dict[str, Any] = Field(
        default_factory=dict, description="arguments of pandapower_network"
    )
    simbench_storages: Literal["drop", "as_generation"] = Field(
        default="drop",
        description="SimBench's storages are plants of PV and battery: leave them out with their "
        "PV, or keep them as generation",
    )
    limits: GridLimits | None = Field(
        default=None, description="limits instead of the grid file's own"
    )

    @model_validator(mode="after")
    def _one_source(self) -> GridSource:
        keys = ("simbench", "pandapower_json", "pandapower_network")
        require_one(self, {key: key for key in keys})
        if self.arguments and self.pandapower_network is None:
            raise refused("arguments", "a mapping", "only a pandapower_network takes arguments")
        if self.simbench_storages != "drop" and self.simbench is None:
            allowed = "only a grid from a SimBench code has them"
            raise refused("simbench_storages", self.simbench_storages, allowed)
        return self


class SimbenchProfiles(Section):
    """The year-long quarter-hour profiles that come with a SimBench grid."""

    profile_time_zone: ZoneName = Field(
        default="Europe/Berlin",
        description="clock of the tables' rows; SimBench's are German local time with summer time",
    )


class CsvProfiles(Section):
    """Demand and generation from a file with one column for each element, named by its label."""

    path: DataFile = Field(
        description="file with a column of kW for each load and generator that is not zero"
    )
    time_column: Text = Field(default="time", description="column with the start of each interval")
    time_zone: ZoneName | None = Field(
        default=None, description="zone of times that state no offset of their own"
    )


class Profiles(Section):
    """What loads and generators do; give exactly one key."""

    simbench: SimbenchProfiles | None = Field(default=None, description="SimBench's own profiles")
    csv: CsvProfiles | None = Field(default=None, description="profiles from a file")
    nominal: Literal[True] | None = Field(
        default=None, description="the grid file's nominal powers in every interval"
    )

    @model_validator(mode="after")
    def _one_source(self) -> Profiles:
        require_one(self, {name: name for name in type(self).model_fields})
        return self


class Tariff(Section):
    """What is paid for one kWh, from the price in the file: ``multiply · price + add_per_kwh``."""

    multiply: Annotated[float, Field(ge=-100, le=100)] = Field(
        default=1.0, description="factor on the price in the file"
    )
    add_per_kwh: Annotated[float, Field(ge=-1000, le=1000)] = Field(
        default=0.0, description="surcharge in the scenario's currency for each kWh"
    )


class Prices(Section):
    """A price series from a file."""

    csv: DataFile = Field(description="file with the prices, .csv or .csv.gz")
    time_column: Text = Field(
        description="column with the start of each interval", examples=["utc_start"]
    )
    column: Text = Field(description="column with the price", examples=["price_eur_mwh"])
    unit: Text = Field(
        description="unit of that column: EUR/MWh, EUR/kWh, ct/kWh", examples=["EUR/MWh"]
    )
    time_zone: ZoneName | None = Field(
        default=None, description="zone of times that state no offset of their own"
    )
    step_minutes: Annotated[int, Field(ge=1, le=24 * 60)] | None = Field(
        default=None, description="how long a price holds (default: the usual distance of two rows)"
    )
    import_: Tariff = Field(
        default_factory=Tariff, alias="import", description="price of a kWh taken from the grid"
    )
    export: Tariff = Field(default_factory=Tariff, description="price of a kWh fed into the grid")

    @model_validator(mode="after")
    def _known_unit(self) -> Prices:
        if _UNIT.fullmatch(self.unit) is None:
            raise refused("unit", self.unit, "must be such as EUR/MWh, EUR/kWh or ct/kWh")
        return self

    @property
    def unit_currency(self) -> str | None:
        """The currency that the unit names; ``ct/kWh`` names none."""
        match = _UNIT.fullmatch(self.unit)
        return match["currency"] if match else None

    @property
    def per_kwh(self) -> float:
        """Factor from the file's unit to the currency per kWh."""
        if self.unit == "ct/kWh":
            return 0.01
        return 1e-3 if self.unit.endswith("/MWh") else 1.0


class Margins(Section):
    """How far inside the limits a plan is asked to stay."""

    soc: Annotated[float, Field(ge=0, le=0.4)] = Field(
        default=0.0, description="distance from both ends of the state of charge"
    )


class Uncertainty(Section):
    """What the twins vary when they live through a plan more than once."""

    count: Annotated[int, Field(ge=0, le=999)] = Field(
        default=0, description="number of drawn fleets beside the stated one"
    )
    seed: Seed = Field(default=0, description="seed of the draws")
    capacity_sd: Annotated[float, Field(ge=0, le=0.3)] = Field(
        default=0.02, description="relative standard deviation of the capacity"
    )
    efficiency_sd: Annotated[float, Field(ge=0, le=0.3)] = Field(
        default=0.01, description="relative standard deviation of both one-way efficiencies"
    )
    soc_initial_sd: Annotated[float, Field(ge=0, le=0.3)] = Field(
        default=0.02, description="standard deviation of the state of charge at the start"
    )


class Tolerance(Section):
    """How far twins may stay behind a plan that passes."""

    shortfall_kw_share: Fraction = Field(
        default=0.10, description="of a battery's rated power, in any interval"
    )
    shortfall_kwh_share: Fraction = Field(
        default=0.05, description="of a battery's usable energy, over the horizon"
    )
    scenario_share: Fraction = Field(
        default=0.05, description="share of drawn fleets that may deliver less than the two below"
    )
    fleet_energy_share: Fraction = Field(
        default=0.95, description="share of its planned energy that a drawn fleet delivers"
    )
    battery_energy_share: Fraction = Field(
        default=0.95, description="the same for each battery of a drawn fleet"
    )


class Gate(Section):
    """How the plan is checked before anything may be released."""

    rounds_max: Annotated[int, Field(ge=0, le=100)] = Field(
        default=6, description="how often a plan that failed is planned again before it is refused"
    )
    margins: Margins = Field(default_factory=Margins, description="distance from the limits")
    tolerance: Tolerance = Field(
        default_factory=Tolerance, description="how far twins may stay behind the plan"
    )
    uncertainty: Uncertainty = Field(default_factory=Uncertainty, description="what the twins vary")
    temperature_ambient_c: Annotated[float, Field(ge=-90, le=90)] = Field(
        default=20.0, description="temperature around the batteries, for their twins"
    )
    fleet_ramp_kw_per_s_max: Positive | None = Field(
        default=None,
        description="how fast the whole fleet may change at an interval's edge; a plan that "
        "changes faster is refused, the optimiser does not know of it",
    )
    ramp_s: Positive = Field(
        default=600.0, description="seconds over which devices spread a change of set-point"
    )


class Optimiser(Section):
    """What the plan is asked for."""

    end_energy: Literal["at_least_initial", "free"] = Field(
        default="at_least_initial",
        description="energy at the end: as much as at the start or more, or whatever pays",
    )
    end_value_per_kwh: NonNegative = Field(
        default=0.0, description="value of one kWh left at the end, in the scenario's currency"
    )
    efficiency_share: Annotated[float, Field(gt=0, le=1)] = Field(
        default=1.0,
        description="share of rated power at which the constant efficiency is taken; plans mostly "
        "run at full power",
    )
    gap_max: Fraction = Field(
        default=1e-4, description="relative gap to the bound at which the solve may stop"
    )
    time_limit_s: Positive = Field(default=600.0, description="time after which a solve stops")
