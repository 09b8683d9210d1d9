"""From the solver's columns and rows back to arrays in the plan's units and signs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from optimizer.plan import Multipliers
from optimizer.problem import NO_GROUP

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt
    import pyomo.environ as pyo

    from optimizer.formulation.layout import Layout

    Floats = npt.NDArray[np.float64]


class Reading:
    """Numbers by Pyomo component: values of columns or duals of rows."""

    def __init__(self, model: pyo.ConcreteModel, members: list[Any], numbers: Floats) -> None:
        self._model = model
        self._numbers = dict(zip(map(id, members), numbers.tolist(), strict=True))

    def items(self, name: str) -> Iterator[tuple[Any, float]]:
        """Index and number of each member of a component."""
        component = self._model.component(name)
        for index, member in () if component is None else component.items():
            number = self._numbers.get(id(member))
            if number is not None:
                yield index, number

    def fill(self, name: str, into: Floats, scale: float = 1.0) -> Floats:
        """Write a component's numbers into `into` by index; what is not in the model is left."""
        component = self._model.component(name)
        if component is not None:
            for index, member in component.items():
                number = self._numbers.get(id(member))
                if number is not None:
                    into[index] = scale * number
        return into


class Powers(NamedTuple):
    """What a model decided: shapes (N, T), (N, T) and (M, T), kW, none negative."""

    charge_kw: Floats
    discharge_kw: Floats
    generation_kw: Floats


def read_powers(x: Layout, values: Reading) -> Powers:
    """Powers with the solver's rounding taken off: within their bounds, on their steps."""
    generators = x.problem.generators
    output = values.fill("generation_kw", generators.p_kw_available.copy())
    return Powers(
        _power(x, values, "charge", x.p_charge_kw_max, x.p_charge_kw_least, x.has_charge_mode),
        _power(
            x, values, "discharge", x.p_discharge_kw_max, x.p_discharge_kw_least,
            x.has_discharge_mode,
        ),
        np.clip(output, generators.p_kw_min, generators.p_kw_available),
    )  # fmt: skip


def _power(
    x: Layout,
    values: Reading,
    side: str,
    most: Floats,
    least: Floats,
    has_mode: npt.NDArray[np.bool_],
) -> Floats:
    power = values.fill(f"p_{side}_kw", np.zeros(x.problem.shape))
    power = np.clip(power, 0.0, most)
    running = values.fill(f"is_{side.removesuffix('e')}ing", np.zeros(x.problem.shape)) > 0.5
    power = np.where(has_mode, np.where(running, np.maximum(power, least), 0.0), power)
    levels = np.maximum(x.problem.batteries.power_levels, 1)[:, None]
    steps = np.round(values.fill(f"{side}_step", np.zeros(x.problem.shape)))
    # The full step must be the most power itself, to the last bit.
    exact = np.where(steps == levels, most, most / levels * steps)
    return np.where(x.stepped[:, None], exact, power)


def read_multipliers(x: Layout, duals: Reading) -> Multipliers:
    """Row duals as worth of relief; a solver's dual is the rise in cost by a unit more of the right
    hand side, so rows "at most" change their sign."""
    p = x.problem
    by_cell, by_limit = p.shape, (len(p.limits), len(p.grid))
    days = int(p.days[-1]) + 1
    return Multipliers(
        energy_value_per_kwh=duals.fill("energy_balance", np.zeros(by_cell), -1.0),
        site_price_per_kwh=_site_prices(x, duals),
        limit_max_per_kw=_relief(duals, "limit_max", by_limit, -1.0),
        limit_min_per_kw=_relief(duals, "limit_min", by_limit, 1.0),
        ramp_up_per_kw=_relief(duals, "ramp_up", by_cell, -1.0),
        ramp_down_per_kw=_relief(duals, "ramp_down", by_cell, -1.0),
        cycles_per_kwh=_relief(duals, "cycles_per_day", (len(p.batteries), days), -1.0),
        target_min_per_kwh=_relief(duals, "target_min", (len(p.targets),), 1.0),
        target_max_per_kwh=_relief(duals, "target_max", (len(p.targets),), -1.0),
        network_max_per_kw=_relief(duals, "network_max", (len(p.network),), -1.0),
        network_min_per_kw=_relief(duals, "network_min", (len(p.network),), 1.0),
        limit_ramp_up_per_kw=_relief(duals, "limit_ramp_up", by_limit, -1.0),
        limit_ramp_down_per_kw=_relief(duals, "limit_ramp_down", by_limit, -1.0),
        position_per_kwh=_position_prices(x, duals),
        **_reserve_prices(x, duals),
    )


def read_reserves(x: Layout, values: Reading) -> Floats:
    """What each battery keeps of each product, by pair, shape (P, T)."""
    p = x.problem
    kept = np.zeros((len(p.reserve_pairs), len(p.grid)))
    places = {(k, i): at for at, (k, i) in enumerate(p.reserve_pairs.tolist())}
    for (k, i, t), value in values.items("reserve_kw"):
        kept[places[k, i], t] = value
    return kept


def _reserve_prices(x: Layout, duals: Reading) -> dict[str, Floats]:
    """Multipliers of reserve rows; those of a battery by its place among the reserve batteries."""
    p, rows = x.problem, x.problem.reserve_batteries
    by_cell = p.shape
    return {
        "reserve_per_kw": _relief(duals, "reserve_kept", (len(p.reserves), len(p.grid)), 1.0),
        "reserve_charge_per_kw": _relief(duals, "reserve_charge", by_cell, -1.0)[rows],
        "reserve_discharge_per_kw": _relief(duals, "reserve_discharge", by_cell, -1.0)[rows],
        "reserve_energy_min_per_kwh": _relief(duals, "reserve_energy_min", (*by_cell, 2), 1.0)[
            rows
        ],
        "reserve_energy_max_per_kwh": _relief(duals, "reserve_energy_max", (*by_cell, 2), -1.0)[
            rows
        ],
    }


def _position_prices(x: Layout, duals: Reading) -> Floats:
    """Price of a kWh of net at each position, shape (C, T): a kWh more committed is its relief."""
    shape = (len(x.problem.positions), len(x.problem.grid))
    return duals.fill("position", np.zeros(shape), -1.0) / x.problem.grid.step_h


def _site_prices(x: Layout, duals: Reading) -> Floats:
    """Price at each site's own meter, shape (G, T); nan for groups that are no site.

    Where no row holds a site's own net, its import and export feed the next net above that one
    does hold, so that the dual has the price of that net too; it is taken off again.
    """
    groups, step_h = x.problem.groups, x.problem.grid.step_h
    single = np.where(groups.is_site[:, None], groups.price_import_per_kwh, np.nan)
    price = np.where(x.is_split, 0.0, single)
    if not x.is_split.any():
        return price
    duals.fill("site_balance", price)
    of_net = duals.fill("group_net", np.zeros(x.is_limited.shape))
    fed_through = x.is_split & ~x.is_limited[:-1]
    for site, t in np.argwhere(fed_through).tolist():
        above = [*groups.ancestors[site][1:], NO_GROUP]
        price[site, t] -= next((of_net[g, t] for g in above if x.is_limited[g, t]), 0.0)
    return np.where(x.is_split, price / step_h, price)


def _relief(duals: Reading, name: str, shape: tuple[int, ...], sign: float) -> Floats:
    return np.maximum(duals.fill(name, np.zeros(shape), sign), 0.0)
