"""The fleet section of a scenario file: a rule that places batteries, or a file that lists them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from gridsim.scenario.base import (
    DataFile,
    Fraction,
    NonNegative,
    Positive,
    Section,
    Seed,
    Text,
    refused,
    require_one,
)
from gridsim.scenario.draw import Draw, SizeDraw, value_range
from twins.faults import FaultList, did_you_mean
from twins.parameters import TechnologyError
from twins.technology import TECHNOLOGIES, technology_from_mapping

BATTERIES_MAX = 1_000_000
SiteGeneration = Literal["low_voltage_pv", "at_bus", "none"]


def _technology(given: str | dict[str, Any]) -> str | dict[str, Any]:
    faults = FaultList("technology")
    mapping = {"base": given} if isinstance(given, str) else dict(given)
    base = mapping.get("base", "ideal")
    if not isinstance(base, str) or base not in TECHNOLOGIES:
        where = "" if isinstance(given, str) else "base"
        hint = did_you_mean(str(base), TECHNOLOGIES)
        faults.add(where, base, f"must be one of {', '.join(TECHNOLOGIES)}", hint)
        # Any published technology will do to look at the other parameters.
        mapping["base"] = "lfp"
    try:
        technology_from_mapping(mapping)
    except TechnologyError as error:
        faults.extend(error.faults)
    faults.raise_if_any(TechnologyError)
    return given


TechnologyRef = Annotated[str | dict[str, Any], AfterValidator(_technology)]
"""A technology's name, or ``base`` and the parameters that differ."""


class Place(Section):
    """Where batteries stand; give exactly one of the first five keys."""

    every_load: Literal[True] | None = Field(default=None, description="one at each load")
    share_of_loads: Annotated[float, Field(gt=0, le=1)] | None = Field(
        default=None, description="one at each of this share of the loads, drawn with the seed"
    )
    number_of_loads: Annotated[int, Field(ge=1, le=BATTERIES_MAX)] | None = Field(
        default=None, description="one at each of this many loads, drawn with the seed"
    )
    loads: Annotated[list[Text], Field(min_length=1)] | None = Field(
        default=None, description="one at each of these loads, by label"
    )
    buses: Annotated[list[Text], Field(min_length=1)] | None = Field(
        default=None, description="one at each of these buses, behind one meter for all its loads"
    )
    vn_kv_max: Positive | None = Field(
        default=None, description="only at buses with at most this nominal voltage, kV"
    )

    @model_validator(mode="after")
    def _one_place(self) -> Place:
        keys = ("every_load", "share_of_loads", "number_of_loads", "loads", "buses")
        require_one(self, {key: key for key in keys})
        for key in ("loads", "buses"):
            labels = getattr(self, key) or []
            for at, label in enumerate(labels):
                if label in labels[:at]:
                    raise refused(f"{key}[{at}]", label, "is named twice")
            if labels and self.vn_kv_max is not None:
                raise refused("vn_kv_max", self.vn_kv_max, f"does not go with {key}")
        return self


class Power(Section):
    """Largest charging and discharging power at the terminals; give exactly one key."""

    c_rate: Positive | Draw | None = Field(
        default=None, description="power by the size of the store, kW for each kWh"
    )
    kw: Positive | Draw | None = Field(default=None, description="power in kW")

    @model_validator(mode="after")
    def _one_power(self) -> Power:
        require_one(self, {"c_rate": "c_rate", "kw": "kw"})
        _check_range("c_rate" if self.kw is None else "kw", self.kw or self.c_rate, 0, None)
        return self


class FleetRule(Section):
    """Batteries placed by a rule and sized by distributions."""

    at: Place = Field(description="where batteries stand", examples=[{"every_load": True}])
    seed: Seed = Field(description="seed of every draw", examples=[1])
    technology: TechnologyRef = Field(
        description="name of a technology, or a mapping with base and the parameters that differ",
        examples=["ideal"],
    )
    energy_kwh: Positive | SizeDraw = Field(
        description="size of the store when new, kWh", examples=[10.0]
    )
    power: Power = Field(description="power limits", examples=[{"c_rate": 0.5}])
    soc_min: Fraction = Field(default=0.0, description="lowest state of charge")
    soc_max: Fraction = Field(default=1.0, description="highest state of charge")
    soc_initial: Fraction | Draw = Field(
        default=0.5, description="state of charge at the start; may lie outside the band"
    )
    wear_cost_charge_per_kwh: NonNegative = Field(
        default=0.0, description="wear of one kWh charged, in the scenario's currency"
    )
    wear_cost_discharge_per_kwh: NonNegative = Field(
        default=0.0, description="wear of one kWh discharged, in the scenario's currency"
    )

    @model_validator(mode="after")
    def _in_range(self) -> FleetRule:
        if self.soc_min >= self.soc_max:
            raise refused(
                "soc_min", self.soc_min, f"must be below soc_max, which is {self.soc_max:g}"
            )
        _check_range("energy_kwh", self.energy_kwh, 0, None)
        _check_range("soc_initial", self.soc_initial, 0, 1)
        return self


class FleetCsv(Section):
    """Batteries listed in a file: one row each, columns named as in `twins.BatterySpec`."""

    path: DataFile = Field(
        description="file with columns battery_id, load or bus, energy_kwh_max, p_charge_kw_max, "
        "p_discharge_kw_max and, where wanted, site_id, s_kva_max, soc_min, soc_max, soc_initial, "
        "capacity_fraction, wear_cost_charge_per_kwh, wear_cost_discharge_per_kwh, technology"
    )
    technology: TechnologyRef | None = Field(
        default=None, description="technology of batteries whose row names none"
    )


class FleetSection(Section):
    """The batteries and the sites (meters) they stand behind; give exactly one of rule and csv."""

    rule: FleetRule | None = Field(default=None, description="place batteries by a rule")
    csv: FleetCsv | None = Field(default=None, description="batteries from a file")
    site_generation: SiteGeneration = Field(
        default="low_voltage_pv",
        description="which generation at a load's bus stands behind that load's meter: PV at up to "
        "1 kV, all of it, or none",
    )

    @model_validator(mode="after")
    def _one_fleet(self) -> FleetSection:
        require_one(self, {"rule": "rule", "csv": "csv"})
        return self


def _check_range(where: str, spec: float | Draw | None, low: float, high: float | None) -> None:
    """Refuse a distribution that can draw values outside what makes sense."""
    if spec is None or not isinstance(spec, Draw):
        return
    smallest, largest = value_range(spec)
    if (
        smallest < low
        or (high is None and smallest == low)
        or (high is not None and largest > high)
    ):
        wanted = f"above {low:g}" if high is None else f"from {low:g} to {high:g}"
        raise refused(where, f"draws {smallest:g} to {largest:g}", f"must draw values {wanted}")
