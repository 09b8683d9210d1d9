"""Multipliers brought into their valid ranges, and the prices that units see at them.

A bound holds for any multipliers within these ranges, whoever computed them and however badly.
Values outside are moved to the nearest valid one, nan counts as 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from optimizer.certificate import flows
from optimizer.plan import Multipliers
from optimizer.problem import NO_GROUP

if TYPE_CHECKING:
    import numpy.typing as npt

    from optimizer.problem import DispatchProblem

    Floats = npt.NDArray[np.float64]


def no_multipliers(problem: DispatchProblem) -> Multipliers:
    """All rows at price 0: the multipliers of a plan that comes without any."""
    batteries, intervals = problem.shape
    limits, targets = len(problem.limits), len(problem.targets)
    return Multipliers(
        energy_value_per_kwh=np.zeros((batteries, intervals)),
        site_price_per_kwh=np.full((len(problem.groups), intervals), np.nan),
        limit_max_per_kw=np.zeros((limits, intervals)),
        limit_min_per_kw=np.zeros((limits, intervals)),
        ramp_up_per_kw=np.zeros((batteries, intervals)),
        ramp_down_per_kw=np.zeros((batteries, intervals)),
        cycles_per_kwh=np.zeros((batteries, int(problem.days[-1]) + 1)),
        target_min_per_kwh=np.zeros(targets),
        target_max_per_kwh=np.zeros(targets),
    )


def project(problem: DispatchProblem, multipliers: Multipliers) -> Multipliers:
    """The nearest multipliers at which the price of every slack covers its row.

    Raises:
        ValueError: a column has another shape than the problem asks for.
    """
    for name, wanted in vars(no_multipliers(problem)).items():
        found = getattr(multipliers, name).shape
        if found != wanted.shape:
            raise ValueError(f"multipliers: {name} has shape {found}, must be {wanted.shape}")
    b, limits, targets = problem.batteries, problem.limits, problem.targets
    step_h, firm = problem.grid.step_h, problem.firm_price_per_kwh
    up, down = b.ramp_up_kw_per_h[:, None], b.ramp_down_kw_per_h[:, None]
    ramp_up = _within(multipliers.ramp_up_per_kw, np.isfinite(up) * (firm * step_h))
    ramp_down = _within(multipliers.ramp_down_per_kw, np.isfinite(down) * (firm * step_h))
    free = np.isnan(b.p_kw_initial)
    ramp_up[free, 0] = ramp_down[free, 0] = 0.0
    price = np.where(targets.is_firm, firm, targets.breach_price_per_kwh)
    capped = np.isfinite(b.cycles_per_day_max)[:, None]
    return Multipliers(
        energy_value_per_kwh=_finite(multipliers.energy_value_per_kwh),
        site_price_per_kwh=_site_prices(problem, multipliers.site_price_per_kwh),
        limit_max_per_kw=_limit_prices(problem, multipliers.limit_max_per_kw, limits.p_kw_max),
        limit_min_per_kw=_limit_prices(problem, multipliers.limit_min_per_kw, limits.p_kw_min),
        ramp_up_per_kw=ramp_up,
        ramp_down_per_kw=ramp_down,
        cycles_per_kwh=np.where(capped, np.maximum(_finite(multipliers.cycles_per_kwh), 0.0), 0.0),
        target_min_per_kwh=_within(
            multipliers.target_min_per_kwh, price * np.isfinite(targets.energy_kwh_min)
        ),
        target_max_per_kwh=_within(
            multipliers.target_max_per_kwh, price * np.isfinite(targets.energy_kwh_max)
        ),
    )


def _finite(values: Floats) -> Floats:
    return np.where(np.isfinite(values), values, 0.0)


def _within(values: Floats, most: Floats) -> Floats:
    return np.clip(_finite(values), 0.0, most)


def _limit_prices(problem: DispatchProblem, values: Floats, edge: Floats) -> Floats:
    """Prices of a limit's rows: per interval up to its price per kWh, beyond it in sum per kW."""
    limits = problem.limits
    per_kwh = np.where(limits.is_firm, problem.firm_price_per_kwh, limits.breach_price_per_kwh)
    wanted = np.where(np.isfinite(edge), np.maximum(_finite(values), 0.0), 0.0)
    by_interval = np.minimum(wanted, per_kwh[:, None] * problem.grid.step_h)
    beyond = wanted - by_interval
    total = beyond.sum(axis=1)
    share = np.minimum(1.0, limits.breach_price_per_kw / np.where(total > 0, total, 1.0))
    return np.asarray(by_interval + beyond * share[:, None])


def _site_prices(problem: DispatchProblem, values: Floats) -> Floats:
    """Prices at meters, between import and export price; by the fixed net where none is given."""
    groups = problem.groups
    none = np.zeros(problem.shape)
    net, _ = flows.group_net_kw(problem, none, problem.generators.p_kw_available)
    buy, sell = groups.price_import_per_kwh, groups.price_export_per_kwh
    given = np.where(np.isfinite(values), values, np.where(net >= 0, buy, sell))
    return np.clip(given, np.minimum(buy, sell), np.maximum(buy, sell))


@dataclass(frozen=True, eq=False)
class NodePrices:
    """What one kW over an interval costs at each group; the last row is for units in no group.

    Attributes:
        draw_per_kw: shape (G+1, T), paid by a unit for each kW that it draws.
        feed_per_kw: shape (G+1, T), earned for each kW that it feeds in.
    """

    draw_per_kw: Floats
    feed_per_kw: Floats


def node_prices(problem: DispatchProblem, multipliers: Multipliers) -> NodePrices:
    """Market or meter price of an interval's kWh, and the prices of the limits up to the top."""
    groups, step_h = problem.groups, problem.grid.step_h
    congestion = _congestion(problem, multipliers)
    draw = np.tile(problem.price_import_per_kwh * step_h, (len(groups) + 1, 1))
    feed = np.tile(problem.price_export_per_kwh * step_h, (len(groups) + 1, 1))
    if groups.is_site.any():
        inside = np.flatnonzero(groups.site_of != NO_GROUP)
        meter = multipliers.site_price_per_kwh[groups.site_of[inside]] * step_h
        draw[inside], feed[inside] = meter, meter
    return NodePrices(draw + congestion, feed + congestion)


def _congestion(problem: DispatchProblem, multipliers: Multipliers) -> Floats:
    """Prices of all limits that a kW drawn in a group counts against, shape (G+1, T)."""
    groups, limits = problem.groups, problem.limits
    own = np.zeros((len(groups) + 1, len(problem.grid)))
    np.add.at(own, limits.group, multipliers.limit_max_per_kw - multipliers.limit_min_per_kw)
    # NO_GROUP is −1, the last row: limits on the whole count for every unit.
    for members in flows.levels(groups):
        own[members] += own[groups.parent[members]]
    return own
