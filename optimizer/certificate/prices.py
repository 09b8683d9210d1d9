"""Multipliers brought into their valid ranges, and the prices that units see at them.

A bound holds for any multipliers within these ranges, whoever computed them and however badly.
Values outside are moved to the nearest valid one, nan counts as 0.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from optimizer.certificate import flows
from optimizer.plan import LATER_COLUMNS, Multipliers
from optimizer.problem import NO_GROUP
from optimizer.reach import band_yields

if TYPE_CHECKING:
    import numpy.typing as npt

    from optimizer.problem import DispatchProblem

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]


def no_multipliers(problem: DispatchProblem) -> Multipliers:
    """All rows at price 0: the multipliers of a plan that comes without any."""
    batteries, intervals = problem.shape
    limits, targets = len(problem.limits), len(problem.targets)
    keeping = len(problem.reserve_batteries)
    return Multipliers(
        energy_value_per_kwh=np.broadcast_to(0.0, (batteries, intervals)),
        site_price_per_kwh=np.full((len(problem.groups), intervals), np.nan),
        limit_max_per_kw=np.zeros((limits, intervals)),
        limit_min_per_kw=np.zeros((limits, intervals)),
        ramp_up_per_kw=np.broadcast_to(0.0, (batteries, intervals)),
        ramp_down_per_kw=np.broadcast_to(0.0, (batteries, intervals)),
        cycles_per_kwh=np.zeros((batteries, int(problem.days[-1]) + 1)),
        target_min_per_kwh=np.zeros(targets),
        target_max_per_kwh=np.zeros(targets),
        network_max_per_kw=np.zeros(len(problem.network)),
        network_min_per_kw=np.zeros(len(problem.network)),
        limit_ramp_up_per_kw=np.zeros((limits, intervals)),
        limit_ramp_down_per_kw=np.zeros((limits, intervals)),
        position_per_kwh=np.zeros((len(problem.positions), intervals)),
        reserve_per_kw=np.zeros((len(problem.reserves), intervals)),
        reserve_charge_per_kw=np.zeros((keeping, intervals)),
        reserve_discharge_per_kw=np.zeros((keeping, intervals)),
        reserve_energy_min_per_kwh=np.zeros((keeping, intervals, 2)),
        reserve_energy_max_per_kwh=np.zeros((keeping, intervals, 2)),
    )


def project(problem: DispatchProblem, multipliers: Multipliers) -> Multipliers:
    """The nearest multipliers at which the price of every slack covers its row.

    Raises:
        ValueError: a column has another shape than the problem asks for.
    """
    multipliers = _with_shapes(problem, multipliers)
    b, limits, targets = problem.batteries, problem.limits, problem.targets
    rows = problem.network
    firm = problem.firm_price_per_kwh
    price = np.where(targets.is_firm, firm, targets.breach_price_per_kwh)
    row_price = np.where(rows.is_firm, firm, rows.breach_price_per_kwh)
    row_price = row_price * problem.grid.step_h[rows.interval]
    return Multipliers(
        energy_value_per_kwh=_finite(multipliers.energy_value_per_kwh),
        site_price_per_kwh=_site_prices(problem, multipliers.site_price_per_kwh),
        limit_max_per_kw=_limit_prices(problem, multipliers.limit_max_per_kw, limits.p_kw_max),
        limit_min_per_kw=_limit_prices(problem, multipliers.limit_min_per_kw, limits.p_kw_min),
        ramp_up_per_kw=_ramp_prices(problem, multipliers.ramp_up_per_kw, b.ramp_up_kw_per_h),
        ramp_down_per_kw=_ramp_prices(problem, multipliers.ramp_down_per_kw, b.ramp_down_kw_per_h),
        cycles_per_kwh=_cycle_prices(problem, multipliers.cycles_per_kwh),
        target_min_per_kwh=_within(
            multipliers.target_min_per_kwh, price * np.isfinite(targets.energy_kwh_min)
        ),
        target_max_per_kwh=_within(
            multipliers.target_max_per_kwh, price * np.isfinite(targets.energy_kwh_max)
        ),
        network_max_per_kw=_within(
            multipliers.network_max_per_kw, row_price * np.isfinite(rows.p_kw_max)
        ),
        network_min_per_kw=_within(
            multipliers.network_min_per_kw, row_price * np.isfinite(rows.p_kw_min)
        ),
        limit_ramp_up_per_kw=_limit_ramp_prices(
            problem, multipliers.limit_ramp_up_per_kw, limits.ramp_up_kw_per_h
        ),
        limit_ramp_down_per_kw=_limit_ramp_prices(
            problem, multipliers.limit_ramp_down_per_kw, limits.ramp_down_kw_per_h
        ),
        position_per_kwh=_position_prices(problem, multipliers.position_per_kwh),
        **_reserve_prices(problem, multipliers),
    )


def _with_shapes(problem: DispatchProblem, multipliers: Multipliers) -> Multipliers:
    """All columns at full shape; those that may be left out, and are, at 0."""
    filled = {}
    for name, wanted in vars(no_multipliers(problem)).items():
        values = getattr(multipliers, name)
        if values.shape == wanted.shape:
            continue
        if values.size or name not in LATER_COLUMNS:
            raise ValueError(
                f"multipliers: {name} has shape {values.shape}, must be {wanted.shape}"
            )
        filled[name] = wanted
    return replace(multipliers, **filled) if filled else multipliers


def _finite(values: Floats) -> Floats:
    finite = np.isfinite(values)
    # Most are, and a fleet's table is large: copy it only where there is something to replace.
    return values if finite.all() else np.where(finite, values, 0.0)


def _within(values: Floats, most: Floats) -> Floats:
    return np.clip(_finite(values), 0.0, most)


def _ramp_prices(problem: DispatchProblem, values: Floats, kw_per_h: Floats) -> Floats:
    """Prices of ramps up to that of their slack; 0 where there is no ramp to keep."""
    limited = np.isfinite(kw_per_h)
    if not limited.any():
        return np.broadcast_to(0.0, values.shape)
    most = limited[:, None] * (problem.firm_price_per_kwh * problem.grid.step_h)
    most[np.isnan(problem.batteries.p_kw_initial), 0] = 0.0
    return _within(values, most)


def _limit_ramp_prices(problem: DispatchProblem, values: Floats, kw_per_h: Floats) -> Floats:
    """The same for ramps of limits, whose breach may have a price of its own."""
    limits, step_h = problem.limits, problem.grid.step_h
    price = np.where(limits.has_firm_ramp, problem.firm_price_per_kwh, limits.breach_price_per_kwh)
    most = (price * np.isfinite(kw_per_h))[:, None] * step_h
    most[np.isnan(limits.p_kw_initial), 0] = 0.0
    return _within(values, most)


def _position_prices(problem: DispatchProblem, values: Floats) -> Floats:
    """Prices of committed nets, between what lies below earns and what lies above costs."""
    positions = problem.positions
    if not len(positions):
        return values
    low = np.minimum(-positions.price_below_per_kwh, positions.price_above_per_kwh)
    return np.clip(_finite(values), low, positions.price_above_per_kwh)


def _reserve_prices(problem: DispatchProblem, multipliers: Multipliers) -> dict[str, Floats]:
    """Prices of reserves up to that of their lack; those of a battery's own rows have no end.

    A battery whose band cannot be kept keeps no reserve, and has no such rows.
    """
    products, step_h = problem.reserves, problem.grid.step_h
    of_battery = (
        "reserve_charge_per_kw", "reserve_discharge_per_kw", "reserve_energy_min_per_kwh",
        "reserve_energy_max_per_kwh",
    )  # fmt: skip
    if not len(products):
        return {name: getattr(multipliers, name) for name in ("reserve_per_kw", *of_battery)}
    price = np.where(products.is_firm, problem.firm_price_per_kwh, products.breach_price_per_kwh)
    most = price[:, None] * step_h * (products.p_kw_required > 0)
    found = {"reserve_per_kw": _within(multipliers.reserve_per_kw, most)}
    keeps = ~band_yields(problem)[problem.reserve_batteries]
    for name in of_battery:
        values = np.maximum(_finite(getattr(multipliers, name)), 0.0)
        found[name] = np.where(keeps.reshape(-1, *(1,) * (values.ndim - 1)), values, 0.0)
    return found


def _cycle_prices(problem: DispatchProblem, values: Floats) -> Floats:
    capped = np.isfinite(problem.batteries.cycles_per_day_max)
    if not capped.any():
        return np.broadcast_to(0.0, values.shape)
    return np.where(capped[:, None], np.maximum(_finite(values), 0.0), 0.0)


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
    net, _ = flows.group_net_kw(problem, None, problem.generators.p_kw_available)
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


def net_prices(problem: DispatchProblem, multipliers: Multipliers) -> Floats:
    """Price of a kW of each group's own net by all rows that hold it, shape (G+1, T).

    The last row is the whole, which `NO_GROUP` = −1 points at.
    """
    limits, rows = problem.limits, problem.network
    own = np.zeros((len(problem.groups) + 1, len(problem.grid)))
    np.add.at(own, limits.group, multipliers.limit_max_per_kw - multipliers.limit_min_per_kw)
    np.add.at(own, limits.group, _ramped_net_prices(multipliers))
    if len(problem.positions):
        held = multipliers.position_per_kwh * problem.grid.step_h
        np.add.at(own, problem.positions.group, held)
    of_group, price = rows.entry_unit < 0, _entry_prices(problem, multipliers)
    at = (rows.entry_group[of_group], rows.interval[rows.entry_row[of_group]])
    np.add.at(own, at, price[of_group])
    return own


def _ramped_net_prices(multipliers: Multipliers) -> Floats:
    """What ramps charge a kW of each limit's net: its step into an interval less that out of it."""
    step = multipliers.limit_ramp_up_per_kw - multipliers.limit_ramp_down_per_kw
    price = step.copy()
    price[:, :-1] -= step[:, 1:]
    return price


def _entry_prices(problem: DispatchProblem, multipliers: Multipliers) -> Floats:
    """Price of a kW of each entry of the network rows, shape (E,)."""
    price = multipliers.network_max_per_kw - multipliers.network_min_per_kw
    return np.asarray(problem.network.weight * price[problem.network.entry_row])


class UnitPrices(NamedTuple):
    """Prices of a kW drawn by single units, beside those of their groups; sorted by unit.

    Attributes:
        unit: 0 to N−1 a battery, N to N+M−1 a generator.
        interval: the interval.
        per_kw: the price; the same unit and interval may come several times.
    """

    unit: Ints
    interval: Ints
    per_kw: Floats


def unit_prices(problem: DispatchProblem, multipliers: Multipliers) -> UnitPrices:
    """What network rows charge single units."""
    rows = problem.network
    entry = np.argsort(rows.entry_unit, kind="stable")
    entry = entry[np.searchsorted(rows.entry_unit[entry], 0) :]
    return UnitPrices(
        rows.entry_unit[entry],
        rows.interval[rows.entry_row[entry]],
        _entry_prices(problem, multipliers)[entry],
    )


def _congestion(problem: DispatchProblem, multipliers: Multipliers) -> Floats:
    """Prices of all rows that a kW drawn in a group counts against, shape (G+1, T)."""
    groups, own = problem.groups, net_prices(problem, multipliers)
    # The last row, the whole, counts for every unit: tops have it as their parent −1.
    for members in flows.levels(groups):
        own[members] += own[groups.parent[members]]
    return own
