"""Terms of the bound beyond batteries: generators, meters, and the constants of shared rows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from optimizer.certificate import flows
from optimizer.certificate.prices import NodePrices, unit_prices

if TYPE_CHECKING:
    import numpy.typing as npt

    from optimizer.plan import Multipliers
    from optimizer.problem import DispatchProblem

    Floats = npt.NDArray[np.float64]
    Nets = tuple[Floats, Floats]
    """Net of each group, shape (G, T), and of the whole, shape (T,)."""


def generators_at_best(problem: DispatchProblem, prices: Multipliers, nodes: NodePrices) -> float:
    """Every generator's output between its least and its available power, at its best."""
    table, step_h = problem.generators, problem.grid.step_h
    reduced = table.cost_per_kwh[:, None] * step_h - nodes.feed_per_kw[table.group]
    units, count = unit_prices(problem, prices), len(problem.batteries)
    of_generator = slice(int(np.searchsorted(units.unit, count)), None)
    at = (units.unit[of_generator] - count, units.interval[of_generator])
    np.subtract.at(reduced, at, units.per_kw[of_generator])
    best = np.minimum(reduced * table.p_kw_min, reduced * table.p_kw_available)
    return math.fsum(best.sum(axis=1))


def meters_at_best(problem: DispatchProblem, prices: Multipliers) -> float:
    """Settlement of sites beyond what their units and fixed load pay at the meter's price."""
    groups, sites, step_h = problem.groups, problem.groups.is_site, problem.grid.step_h
    if not sites.any():
        return 0.0
    b, table = problem.batteries, problem.generators
    fixed, _ = flows.group_net_kw(problem, None, np.zeros_like(table.p_kw_min))
    low, _ = flows.group_net_kw(problem, -b.p_discharge_kw_max, table.p_kw_available)
    high, _ = flows.group_net_kw(problem, b.p_charge_kw_max, table.p_kw_min)
    price = prices.site_price_per_kwh[sites]
    buy, sell = groups.price_import_per_kwh[sites], groups.price_export_per_kwh[sites]
    ends = (low[sites], high[sites], np.clip(0.0, low[sites], high[sites]))
    # Piecewise linear in the net with its only kink at 0, so the best is at one of these, also
    # where the export price is the higher one and the settlement is not convex.
    rest = [np.where(net >= 0, buy - price, sell - price) * net for net in ends]
    best = np.minimum(np.minimum(rest[0], rest[1]), rest[2]) + price * fixed[sites]
    return math.fsum(best @ step_h)


def row_constants(problem: DispatchProblem, prices: Multipliers) -> float:
    """Fixed load and generation at the prices of the rows that hold them, less what rows allow."""
    idle = np.zeros_like(problem.generators.p_kw_min)
    nets = flows.group_net_kw(problem, None, idle)
    return math.fsum(
        [
            _limit_constants(problem, prices, nets),
            _limit_ramp_constants(problem, prices, nets),
            _position_constants(problem, prices, nets),
            _network_constants(problem, prices, nets),
        ]
    )


def _limit_constants(problem: DispatchProblem, prices: Multipliers, nets: Nets) -> float:
    """Fixed load and generation at the limits' prices, less the limits themselves."""
    limits, fixed = problem.limits, flows.limit_net_kw(problem, *nets)
    over = fixed - np.where(np.isfinite(limits.p_kw_max), limits.p_kw_max, 0.0)
    under = np.where(np.isfinite(limits.p_kw_min), limits.p_kw_min, 0.0) - fixed
    owed = prices.limit_max_per_kw * over + prices.limit_min_per_kw * under
    return math.fsum(owed.sum(axis=1))


def _limit_ramp_constants(problem: DispatchProblem, prices: Multipliers, nets: Nets) -> float:
    limits, hours = problem.limits, flows.hours_between(problem)
    if not limits.has_ramp.any():
        return 0.0
    fixed = flows.limit_net_kw(problem, *nets)
    before = np.concatenate([np.nan_to_num(limits.p_kw_initial)[:, None], fixed[:, :-1]], axis=1)
    up, down = (
        np.where(np.isfinite(rate), rate, 0.0)[:, None] * hours
        for rate in (limits.ramp_up_kw_per_h, limits.ramp_down_kw_per_h)
    )
    owed = prices.limit_ramp_up_per_kw * (fixed - before - up)
    owed += prices.limit_ramp_down_per_kw * (before - fixed - down)
    return math.fsum(owed.sum(axis=1))


def _position_constants(problem: DispatchProblem, prices: Multipliers, nets: Nets) -> float:
    positions = problem.positions
    if not len(positions):
        return 0.0
    fixed = np.concatenate([nets[0], nets[1][None, :]])[positions.group]
    return math.fsum((prices.position_per_kwh * (fixed - positions.p_kw)) @ problem.grid.step_h)


def _network_constants(problem: DispatchProblem, prices: Multipliers, nets: Nets) -> float:
    rows = problem.network
    if not len(rows):
        return 0.0
    none = np.broadcast_to(0.0, problem.shape)
    idle = np.zeros_like(problem.generators.p_kw_min)
    fixed = flows.network_value_kw(problem, none, idle, *nets)
    over = fixed - np.where(np.isfinite(rows.p_kw_max), rows.p_kw_max, 0.0)
    under = np.where(np.isfinite(rows.p_kw_min), rows.p_kw_min, 0.0) - fixed
    return math.fsum(prices.network_max_per_kw * over + prices.network_min_per_kw * under)
