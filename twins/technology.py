"""What kind of battery it is: losses, limits that bend, heat and ageing, per unit of size.

Everything here is relative (to the converter's rated power, to the store's energy), so that one
technology serves batteries of any size. Published parameter sets are in ``technologies.json``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from types import MappingProxyType
from typing import Any

from twins.faults import FaultList, did_you_mean
from twins.parameters import TechnologyError, bounded, check_fields, read_into


@dataclass(frozen=True)
class ConverterLoss:
    """Loss of a converter at work, ``standby + linear·x + quadratic·x²``, of rated power.

    ``x = |p_kw| / p_rated_kw`` at the terminals. Charging, the store's side receives ``x − loss``;
    discharging, it gives ``x + loss``.
    """

    standby: float = bounded(0, 0.5, 0.0)
    linear: float = bounded(-0.1, 0.3, 0.0)
    quadratic: float = bounded(0, 0.3, 0.0)

    def __post_init__(self) -> None:
        _check(self, "converter loss")

    def at(self, share: float) -> float:
        """The loss at `share` of rated power, as a fraction of rated power."""
        return self.standby + self.linear * share + self.quadratic * share * share


@dataclass(frozen=True)
class Taper:
    """How the power limit falls near full and near empty.

    The charging limit is the whole of ``p_charge_kw_max`` up to `charge_soc_start` and falls
    linearly to `charge_share_end` of it at SoC 1; the discharging limit likewise towards SoC 0.
    """

    charge_soc_start: float = bounded(0, 1, 1.0)
    charge_share_end: float = bounded(0.01, 1, 1.0)
    discharge_soc_start: float = bounded(0, 1, 0.0)
    discharge_share_end: float = bounded(0.01, 1, 1.0)

    def __post_init__(self) -> None:
        _check(self, "taper")


@dataclass(frozen=True)
class Thermal:
    """One thermal node for the cells, and how temperature derates power.

    Power falls linearly from all of it at a ``start`` to none at the matching ``stop``.

    Attributes:
        heat_capacity_wh_per_k_kwh: Wh/K for each kWh of store; 0 keeps the cells at ambient.
        conductance_w_per_k_kwh: W/K to the surroundings for each kWh of store.
        charge_cold_stop_c, charge_cold_start_c: no charging below, full charging above, °C.
        discharge_cold_stop_c, discharge_cold_start_c: the same for discharging, °C.
        hot_start_c, hot_stop_c: full power below, none above, both directions, °C.
    """

    heat_capacity_wh_per_k_kwh: float = bounded(0, 100, 0.0)
    conductance_w_per_k_kwh: float = bounded(0, 100, 1.0)
    charge_cold_stop_c: float = bounded(-300, 60, -300.0)
    charge_cold_start_c: float = bounded(-299, 61, -299.0)
    discharge_cold_stop_c: float = bounded(-300, 60, -300.0)
    discharge_cold_start_c: float = bounded(-299, 61, -299.0)
    hot_start_c: float = bounded(0, 1000, 999.0)
    hot_stop_c: float = bounded(0, 1001, 1000.0)

    def __post_init__(self) -> None:
        pairs = [
            ("charge_cold_stop_c", "charge_cold_start_c"),
            ("discharge_cold_stop_c", "discharge_cold_start_c"),
            ("charge_cold_start_c", "hot_start_c"),
            ("discharge_cold_start_c", "hot_start_c"),
            ("hot_start_c", "hot_stop_c"),
        ]
        crossed = [
            (low, getattr(self, low), f"must lie below {high} = {getattr(self, high):g}")
            for low, high in pairs
            if not getattr(self, low) < getattr(self, high)
        ]
        _check(self, "thermal", crossed)


@dataclass(frozen=True)
class Ageing:
    """Coefficients of capacity loss: a calendar and a cycle power law, and an optional knee.

    ``loss_calendar = k_cal · days^calendar_exponent`` with
    ``k_cal = calendar_scale · exp((calendar_temperature_k + calendar_anode_k·Ua(soc)) / T)`` and
    ``loss_cycle = k_cyc · cycles^cycle_exponent`` with
    ``k_cyc = (cycle_scale + cycle_per_depth·depth + cycle_per_c_rate·c_rate)
    · exp(cycle_temperature_k / T) · exp(cycle_depth_exp · exp(depth²))``; T in kelvin, cycles are
    equivalent full cycles, ``Ua`` is the anode's potential in V (`twins.ageing`). The knee is a
    sigmoid whose half-way point is ``knee_cycles + knee_cycles_per_k · (T − 328.15 K) · depth ·
    soc / 0.6`` cycles. Scales of zero mean no ageing.
    """

    calendar_scale: float = bounded(0, 1e30, 0.0)
    calendar_temperature_k: float = bounded(-1e5, 1e5, 0.0)
    calendar_anode_k: float = bounded(-1e5, 1e5, 0.0)
    calendar_exponent: float = bounded(0.05, 2, 0.5)
    cycle_scale: float = bounded(0, 1e30, 0.0)
    cycle_per_depth: float = bounded(0, 1e30, 0.0)
    cycle_per_c_rate: float = bounded(0, 1e30, 0.0)
    cycle_temperature_k: float = bounded(-1e5, 1e5, 0.0)
    cycle_depth_exp: float = bounded(0, 20, 0.0)
    cycle_exponent: float = bounded(0.05, 2, 1.0)
    knee_cycles: float = bounded(0, 1e9, 0.0)
    knee_cycles_per_k: float = bounded(0, 1e6, 0.0)
    knee_exponent: float = bounded(0, 50, 0.0)

    def __post_init__(self) -> None:
        _check(self, "ageing")


@dataclass(frozen=True)
class Technology:
    """The parameters of one kind of battery, relative to its size.

    Attributes:
        name: its name in reports.
        chemistry: of the cells, e.g. "LFP".
        source: where the numbers were published, and which are assumptions.
        licence: of the published numbers.
        loss_charge, loss_discharge: the converter at work.
        idle_loss: drawn from the store while ``p_kw`` is zero, fraction of rated power.
        store_efficiency_charge, store_efficiency_discharge: constant one-way efficiencies between
            the converter and the store.
        store_resistance: each leg also loses ``store_resistance·x²`` of rated power in the cells.
        standing_loss_per_h: fraction of stored energy lost in an hour; compounds.
        constant_loss_kw: power drawn from the store at all times, kW, whatever the size.
        taper, thermal, ageing: see those classes.

    Raises:
        TechnologyError: on construction, naming every parameter that makes no sense.
    """

    name: str = "ideal"
    chemistry: str = ""
    source: str = ""
    licence: str = ""
    loss_charge: ConverterLoss = field(default_factory=ConverterLoss)
    loss_discharge: ConverterLoss = field(default_factory=ConverterLoss)
    idle_loss: float = bounded(0, 0.5, 0.0)
    store_efficiency_charge: float = bounded(0.01, 2, 1.0)
    store_efficiency_discharge: float = bounded(0.01, 2, 1.0)
    store_resistance: float = bounded(0, 0.2, 0.0)
    standing_loss_per_h: float = bounded(0, 0.99, 0.0)
    constant_loss_kw: float = bounded(0, 1e6, 0.0)
    taper: Taper = field(default_factory=Taper)
    thermal: Thermal = field(default_factory=Thermal)
    ageing: Ageing = field(default_factory=Ageing)

    def __post_init__(self) -> None:
        between: list[tuple[str, Any, str]] = []
        if not self.name:
            between.append(("name", self.name, "must not be empty"))
        idle_max = self.loss_discharge.standby + max(0.0, self.loss_discharge.linear)
        if self.idle_loss > idle_max:
            # Otherwise, the quadratic term apart, any discharge would lose less than doing nothing.
            allowed = f"must be at most loss_discharge.standby + max(linear, 0) = {idle_max:g}"
            between.append(("idle_loss", self.idle_loss, allowed))
        _check(self, f"technology {self.name!r}", between)

    def planning_efficiency(self, share: float) -> tuple[float, float]:
        """The constant efficiencies (charge, discharge) a linear plan should assume.

        Args:
            share: of rated power, above 0 and at most 1, at which the battery mostly works.

        Returns:
            Terminal to store, and store to terminal, both at `share`; standing, idle and constant
            losses are not in them.
        """
        if not 0 < share <= 1:
            raise ValueError(f"share must be above 0 and at most 1, got {share}")
        charged = max(0.0, share - self.loss_charge.at(share))
        stored = self.store_efficiency_charge * (charged - self.store_resistance * charged**2)
        drawn = share + self.loss_discharge.at(share)
        taken = (drawn + self.store_resistance * drawn**2) / self.store_efficiency_discharge
        return stored / share, share / taken


def _check(parameters: Any, source: str, between: list[tuple[str, Any, str]] | None = None) -> None:
    """Raise every fault of a parameter set: each number's own, then those between numbers."""
    faults = FaultList(source)
    check_fields(parameters, faults, "")
    for where, found, allowed in between or []:
        faults.add(where, found, allowed)
    faults.raise_if_any(TechnologyError)


def technology_from_mapping(given: Mapping[str, Any] | str, where: str = "") -> Technology:
    """A technology from a scenario file: a registry name, or parameters over a named base.

    Args:
        given: a name of `TECHNOLOGIES`, or a mapping of `Technology`'s parameters (nested ones as
            nested mappings), with the optional key ``base``: the name of the technology whose
            values hold where none is given (otherwise "ideal").
        where: a path to put before each fault's own, e.g. ``fleet.technology.``.

    Raises:
        TechnologyError: with every fault.
    """
    faults = FaultList("technology")
    if isinstance(given, str):
        given = {"base": given}
    if not isinstance(given, Mapping):
        faults.add(where.rstrip(".") or "technology", given, "must be a name or a mapping")
        faults.raise_if_any(TechnologyError)
    overrides = {str(key): value for key, value in given.items() if key != "base"}
    base = _base(given.get("base", "ideal"), faults, where)
    if overrides and "name" not in overrides:
        overrides["name"] = f"{base.name}, modified"
    made = read_into(base, overrides, faults, where)
    faults.raise_if_any(TechnologyError)
    assert isinstance(made, Technology)
    return made


def _base(name: object, faults: FaultList, where: str) -> Technology:
    if isinstance(name, str) and name in TECHNOLOGIES:
        return TECHNOLOGIES[name]
    hint = did_you_mean(name, TECHNOLOGIES) if isinstance(name, str) else ""
    faults.add(f"{where}base", name, f"must be one of {', '.join(TECHNOLOGIES)}", hint)
    return TECHNOLOGIES["ideal"]


def _registry() -> Mapping[str, Technology]:
    """The published technologies, by name, from the package's data file."""
    text = (resources.files("twins") / "technologies.json").read_text(encoding="utf-8")
    faults = FaultList("twins/technologies.json")
    read = {
        name: read_into(Technology(), {"name": name, **values}, faults, f"{name}.")
        for name, values in json.loads(text)["technologies"].items()
    }
    faults.raise_if_any(TechnologyError)
    return MappingProxyType(read)


TECHNOLOGIES: Mapping[str, Technology] = _registry()
"""Published technologies by name; `Technology.source` says where each comes from."""
