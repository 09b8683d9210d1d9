"""What a dispatch problem can hold, and which way of solving carries it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from optimizer.engine import slopes
from optimizer.formulation import burners

if TYPE_CHECKING:
    from optimizer.problem import DispatchProblem

NOT_CARRIED = "—"


class Feature(NamedTuple):
    """One thing that a problem may hold.

    Attributes:
        name: as it is said in errors and in the documentation.
        monolith: the module of the formulation that adds it.
        engine: how the structured solver carries it, or `NOT_CARRIED`.
        certificate: the term of the bound that prices it.
    """

    name: str
    monolith: str
    engine: str
    certificate: str


FEATURES: tuple[Feature, ...] = (
    Feature("energy balance with losses", "battery", "tridiagonal rows", "balance terms"),
    Feature("energy band by time", "battery", "boxes of energy", "energy at best"),
    Feature("power limits by time", "battery", "boxes of power", "power at best"),
    Feature("inflow and usage", "battery", "right-hand side of the balance", "constant"),
    Feature("wear", "objective", "cost of power", "power at best"),
    Feature("a band that cannot be kept", "battery", "pieces of energy", "energy at best"),
    Feature("target at the end of an interval", "battery", "pieces of energy", "target terms"),
    Feature("target inside an interval", "battery", "envelope rows", "target terms"),
    Feature("value of the energy left", "end_value", "pieces of the last energy", "energy at best"),
    Feature("rising value of the energy left", "end_value", NOT_CARRIED, "energy at best"),
    Feature("ramp limit", "battery", "envelope rows, pieces of a change", "ramp terms"),
    Feature("cycle cap a day", "battery", "envelope rows", "cycle terms"),
    Feature("least power", "discrete", "oracle, rounds of schedules", "own set"),
    Feature("equal steps of power", "discrete", "oracle, rounds of schedules", "own set"),
    Feature("prices that reward charging and discharging at once", "exclusion",
            "oracle, rounds of schedules", "own set"),
    Feature("curtailable generation", "network", "rows without energy", "generators at best"),
    Feature("meter with one price", "objective", "cost of power", "node prices"),
    Feature("meter with two prices", "network", "pieces of a net", "meters at best"),
    Feature("meter that earns more than it pays", "network", NOT_CARRIED, "meters at best"),
    Feature("firm limit", "limit", "pieces of a net", "limit constants"),
    Feature("limit with a price per kWh", "limit", "pieces of a net", "limit constants"),
    Feature("limit with a price per kW", "limit", "rows between intervals", "limit constants"),
    Feature("ramp of a group", "ramp", "rows between intervals", "limit ramp constants"),
    Feature("committed position", "trading", "pieces of a net", "position constants"),
    Feature("staying near the previous plan", "trading", "pieces of power", "power at best"),
    Feature("reserve", "reserve", NOT_CARRIED, "reserves at best"),
    Feature("network row", "network_rows", "top of the arrow", "network constants"),
    Feature("groups inside groups", "network", "elimination up the tree", "node prices"),
)  # fmt: skip
"""Each with the three places that must know it; no cell is empty."""


def not_carried(problem: DispatchProblem) -> tuple[str, ...]:
    """Names of the features of `problem` that the engine alone does not carry.

    Some of them are carried by the oracles beside it: `optimizer.discrete.features`.
    """
    b, groups = problem.batteries, problem.groups
    earns_more = groups.price_export_per_kwh > groups.price_import_per_kwh
    found = {
        "rising value of the energy left": _has_rising_end(problem),
        "least power": ((b.p_charge_kw_min > 0) | (b.p_discharge_kw_min > 0)).any(),
        "equal steps of power": (b.power_levels > 0).any(),
        "prices that reward charging and discharging at once": burners(problem).any(),
        "meter that earns more than it pays": earns_more[groups.is_site].any(),
        "reserve": len(problem.reserves) > 0,
    }
    return tuple(name for name, is_there in found.items() if is_there)


def _has_rising_end(problem: DispatchProblem) -> bool:
    """Energy beyond pieces of negative value is worth nothing, which is more."""
    b = problem.batteries
    falls = (b.end_value_per_kwh < 0) & (b.end_value_kwh > 0)
    reaches = b.end_value_kwh.sum(axis=1) >= b.energy_kwh_max[:, -1]
    return bool((falls.any(axis=1) & ~(reaches | slopes.has_linear_end(problem))).any())
