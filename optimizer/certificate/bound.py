"""How much any plan could earn: a bound from multipliers alone.

Each row that ties variables together is priced by its multiplier and dropped; what is left falls
apart into single variables, each at its best on its own set. The sum is a lower bound on the cost
of every plan, for any multipliers. Derivation: `docs/certificate.md`.
"""

from __future__ import annotations

import math
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from optimizer.certificate import flows
from optimizer.certificate.cost import idle_cost
from optimizer.certificate.nodes import generators_at_best, meters_at_best, row_constants
from optimizer.certificate.own import least_of, make_units, searched_rows
from optimizer.certificate.prices import (
    NodePrices,
    UnitPrices,
    no_multipliers,
    node_prices,
    project,
    unit_prices,
)
from optimizer.certificate.reserve import reserves_at_best
from optimizer.reach import BAND_FACTOR, band_yields

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from optimizer.certificate.relaxed import Units
    from optimizer.plan import Multipliers
    from optimizer.problem import DispatchProblem

    Floats = npt.NDArray[np.float64]
    Flags = npt.NDArray[np.bool_]
    Rows = slice | npt.NDArray[np.intp]

ROWS_PER_CHUNK = 2048
"""Batteries at a time: their tables stay in the processor's cache and memory stays flat."""


def profit_bound(problem: DispatchProblem, multipliers: Multipliers | None = None) -> float:
    """No plan of `problem` earns more than this, whatever the multipliers.

    Args:
        problem: what was asked.
        multipliers: row prices; values outside their valid range are moved into it, nan counts as
            0. None stands for no prices at all: a valid bound, and a loose one.

    Raises:
        ValueError: a column of the multipliers has another shape than the problem asks for.
    """
    return idle_cost(problem).total - cost_bound(problem, multipliers)


def cost_bound(problem: DispatchProblem, multipliers: Multipliers | None = None) -> float:
    """No plan of `problem` costs less than this; see `profit_bound`."""
    prices = project(problem, no_multipliers(problem) if multipliers is None else multipliers)
    nodes = node_prices(problem, prices)
    return math.fsum(
        [
            _batteries_at_best(problem, prices, nodes),
            generators_at_best(problem, prices, nodes),
            meters_at_best(problem, prices),
            row_constants(problem, prices),
            reserves_at_best(problem, prices),
        ]
    )


@dataclass(frozen=True, eq=False)
class _Chunk:
    """Some batteries, their price of power and energy, and their constants.

    Attributes:
        rows: the batteries.
        charge: shape (rows, T), reduced cost of one kW of charging in each interval.
        discharge: shape (rows, T), the same for discharging.
        energy: shape (rows, T), reduced cost of one stored kWh at the instants 1 to T.
        constant: shape (rows,), multipliers times right-hand sides.
    """

    rows: Rows
    charge: Floats
    discharge: Floats
    energy: Floats
    constant: Floats


def _batteries_at_best(problem: DispatchProblem, prices: Multipliers, nodes: NodePrices) -> float:
    yields = band_yields(problem)
    charge_kw_max, discharge_kw_max = usable_power(problem)
    terms = _target_terms(problem, prices), unit_prices(problem, prices)

    def of_chunk(start: int) -> Floats:
        chunk = _chunk(problem, prices, nodes, terms, slice(start, start + ROWS_PER_CHUNK))
        most = charge_kw_max[chunk.rows], discharge_kw_max[chunk.rows]
        power = _power_at_best(problem, chunk, most)
        energy = _energy_at_best(problem, chunk, most, yields[chunk.rows])
        return np.asarray(power.sum(axis=1) + energy + chunk.constant)

    starts = range(0, len(problem.batteries), ROWS_PER_CHUNK)
    _ = problem.energy_after_loss, problem.days  # before threads ask for them all at once
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        least = np.concatenate([*pool.map(of_chunk, starts), np.zeros(0)])
    rows = searched_rows(problem, nodes)
    if len(rows):
        searched = searched_costs(problem, prices, nodes, rows)
        least[rows] = np.maximum(least[rows], searched)
    return math.fsum(least)


def searched_costs(
    problem: DispatchProblem, prices: Multipliers, nodes: NodePrices, rows: npt.NDArray[np.intp]
) -> Floats:
    """The same for `rows` with their balance kept and their targets at interval ends exact."""
    units, constant = priced_units(problem, prices, nodes, rows)
    return constant + least_of(units)


def priced_units(
    problem: DispatchProblem, prices: Multipliers, nodes: NodePrices, rows: npt.NDArray[np.intp]
) -> tuple[Units, Floats]:
    """Batteries with what each of their choices costs, and constants that the prices leave.

    Args:
        problem: what was asked.
        prices: multipliers in their valid ranges; the balance, and targets at interval ends, keep
            their own costs instead.
        nodes: what these prices mean at each group.
        rows: batteries, sorted.
    """
    at_end = problem.targets.share == 1.0
    unpriced = replace(
        prices,
        energy_value_per_kwh=np.broadcast_to(0.0, problem.shape),
        target_min_per_kwh=np.where(at_end, 0.0, prices.target_min_per_kwh),
        target_max_per_kwh=np.where(at_end, 0.0, prices.target_max_per_kwh),
    )
    terms = _target_terms(problem, unpriced), unit_prices(problem, unpriced)
    chunk = _chunk(problem, unpriced, nodes, terms, rows)
    costs = (chunk.charge, chunk.discharge, chunk.energy)
    return make_units(problem, rows, usable_power(problem), costs), chunk.constant


def _chunk(
    problem: DispatchProblem,
    prices: Multipliers,
    nodes: NodePrices,
    terms: tuple[_TargetTerms, UnitPrices],
    rows: Rows,
) -> _Chunk:
    """All rows' terms on the variables of some batteries."""
    chunk = _balance_terms(problem, prices, nodes, rows)
    _add_targets(terms[0], chunk)
    _add_unit_prices(terms[1], chunk)
    _add_ramps(problem, prices, chunk)
    _add_cycles(problem, prices, chunk)
    _add_reserves(problem, prices, chunk)
    return chunk


def _power_at_best(problem: DispatchProblem, chunk: _Chunk, most: tuple[Floats, Floats]) -> Floats:
    """Least of what power costs, with what it costs to leave the previous plan's, (rows, T).

    Charging and discharging exclude each other, and each side's best is at 0 or at its most, or at
    the previous power.
    """
    least = np.minimum(np.minimum(chunk.charge * most[0], chunk.discharge * most[1]), 0.0)
    change = problem.batteries.change_price_per_kwh[chunk.rows]
    rows = np.flatnonzero(change)
    if not rows.size:
        return least
    wanted = problem.batteries.p_kw_previous[chunk.rows][rows]
    price = np.where(np.isnan(wanted), 0.0, change[rows, None] * problem.grid.step_h)
    wanted, charge, discharge = np.nan_to_num(wanted), chunk.charge[rows], chunk.discharge[rows]
    high, low = most[0][rows], -most[1][rows]
    least[rows] = np.inf
    for power in (np.zeros_like(wanted), high, low, np.clip(wanted, low, high)):
        reduced = np.where(power >= 0, charge, -discharge) * power
        least[rows] = np.minimum(least[rows], reduced + price * np.abs(power - wanted))
    return least


def usable_power(problem: DispatchProblem) -> tuple[Floats, Floats]:
    """Largest charging and discharging power that is allowed at all, shapes (N, T).

    Where an interval's most lies below the least power, only 0 is left.
    """
    b = problem.batteries
    if not (b.p_charge_kw_min.any() or b.p_discharge_kw_min.any()):
        return b.p_charge_kw_max, b.p_discharge_kw_max
    charge = np.where(b.p_charge_kw_max >= b.p_charge_kw_min[:, None], b.p_charge_kw_max, 0.0)
    least = b.p_discharge_kw_min[:, None]
    return charge, np.where(b.p_discharge_kw_max >= least, b.p_discharge_kw_max, 0.0)


def _balance_terms(
    problem: DispatchProblem, prices: Multipliers, nodes: NodePrices, rows: Rows
) -> _Chunk:
    b, step_h = problem.batteries, problem.grid.step_h
    value, after = prices.energy_value_per_kwh[rows], problem.energy_after_loss[rows]
    group, worth = b.group[rows], value * step_h
    wear_charge = b.wear_cost_charge_per_kwh[rows, None] * step_h
    wear_discharge = b.wear_cost_discharge_per_kwh[rows, None] * step_h
    energy = value.copy()
    energy[:, :-1] -= after[:, 1:] * value[:, 1:]
    first = after[:, 0] * value[:, 0] * b.energy_kwh_initial[rows]
    return _Chunk(
        rows=rows,
        charge=nodes.draw_per_kw[group] + wear_charge - b.efficiency_charge[rows] * worth,
        discharge=worth / b.efficiency_discharge[rows] + wear_discharge - nodes.feed_per_kw[group],
        energy=energy,
        constant=-first - (worth * b.inflow_kw[rows]).sum(axis=1),
    )


def _members(
    battery: npt.NDArray[np.int64], chunk: _Chunk
) -> tuple[slice | npt.NDArray[np.intp], npt.NDArray[np.int64]]:
    """Which entries of a sorted column of batteries are in a chunk, and at which of its rows."""
    if isinstance(chunk.rows, slice):
        start = chunk.rows.start
        found = slice(*np.searchsorted(battery, [start, start + len(chunk.constant)]).tolist())
        return found, battery[found] - start
    here = np.flatnonzero(np.isin(battery, chunk.rows))
    return here, np.searchsorted(chunk.rows, battery[here]).astype(np.int64)


def _add_unit_prices(units: UnitPrices, chunk: _Chunk) -> None:
    here, row = _members(units.unit, chunk)
    at = (row, units.interval[here])
    np.add.at(chunk.charge, at, units.per_kw[here])
    np.subtract.at(chunk.discharge, at, units.per_kw[here])


@dataclass(frozen=True, eq=False)
class _TargetTerms:
    """What targets add to their batteries' energies, sorted by battery; shapes (K,)."""

    battery: npt.NDArray[np.int64]
    interval: npt.NDArray[np.int64]
    at_first: Floats
    at_last: Floats
    constant: Floats


def _target_terms(problem: DispatchProblem, prices: Multipliers) -> _TargetTerms:
    targets, energy_kwh_initial = problem.targets, problem.batteries.energy_kwh_initial
    price_min, price_max = prices.target_min_per_kwh, prices.target_max_per_kwh
    price = price_max - price_min  # of one more kWh at the moment
    first, last = flows.target_weights(problem)
    constant = price_min * np.where(price_min > 0, targets.energy_kwh_min, 0.0)
    constant -= price_max * np.where(price_max > 0, targets.energy_kwh_max, 0.0)
    # At instant 0 the energy is given, so its term is a constant.
    known = np.where(targets.interval == 0, first * price, 0.0)
    constant += known * energy_kwh_initial[targets.battery]
    order = np.argsort(targets.battery, kind="stable")
    return _TargetTerms(
        battery=targets.battery[order],
        interval=targets.interval[order],
        at_first=(first * price)[order],
        at_last=(last * price)[order],
        constant=constant[order],
    )


def _add_targets(terms: _TargetTerms, chunk: _Chunk) -> None:
    here, row = _members(terms.battery, chunk)
    interval = terms.interval[here]
    np.add.at(chunk.energy, (row, interval), terms.at_last[here])
    later = interval > 0
    np.add.at(chunk.energy, (row[later], interval[later] - 1), terms.at_first[here][later])
    np.add.at(chunk.constant, row, terms.constant[here])


def _add_ramps(problem: DispatchProblem, prices: Multipliers, chunk: _Chunk) -> None:
    b, hours = problem.batteries, flows.hours_between(problem)
    up, down = b.ramp_up_kw_per_h[chunk.rows], b.ramp_down_kw_per_h[chunk.rows]
    if not (np.isfinite(up) | np.isfinite(down)).any():
        return
    price_up, price_down = prices.ramp_up_per_kw[chunk.rows], prices.ramp_down_per_kw[chunk.rows]
    step = price_up - price_down  # of one more kW than in the interval before
    power = step.copy()
    power[:, :-1] -= step[:, 1:]
    chunk.charge[:] += power
    chunk.discharge[:] -= power
    allowed = np.where(np.isfinite(up), up, 0.0)[:, None] * price_up
    allowed += np.where(np.isfinite(down), down, 0.0)[:, None] * price_down
    before = np.nan_to_num(b.p_kw_initial[chunk.rows])
    chunk.constant[:] -= allowed @ hours + step[:, 0] * before


def _add_cycles(problem: DispatchProblem, prices: Multipliers, chunk: _Chunk) -> None:
    b, days, step_h = problem.batteries, problem.days, problem.grid.step_h
    if not np.isfinite(b.cycles_per_day_max[chunk.rows]).any():
        return
    cap = flows.throughput_kwh_max(problem, chunk.rows)
    by_day = prices.cycles_per_kwh[chunk.rows]
    price = by_day[:, days] * step_h
    chunk.charge[:] += price * b.efficiency_charge[chunk.rows]
    chunk.discharge[:] += price / b.efficiency_discharge[chunk.rows]
    # Only days with an interval have a row; a day without one has no cap to pay for.
    used = by_day[:, np.unique(days)].sum(axis=1)
    chunk.constant[:] -= np.where(np.isfinite(cap), cap, 0.0) * used


def _add_reserves(problem: DispatchProblem, prices: Multipliers, chunk: _Chunk) -> None:
    """What the rows that hold power and energy ready charge a battery's own variables."""
    keeping = problem.reserve_batteries
    here, row = _members(keeping, chunk)
    if not len(row):
        return
    b, rows = problem.batteries, keeping[here]
    charge, discharge = prices.reserve_charge_per_kw[here], prices.reserve_discharge_per_kw[here]
    chunk.charge[row] += charge - discharge
    chunk.discharge[row] -= charge - discharge
    below, above = (
        prices.reserve_energy_min_per_kwh[here], prices.reserve_energy_max_per_kwh[here]
    )  # fmt: skip
    held = above - below  # of one more kWh at either end of an interval
    chunk.energy[row] += held[:, :, 1]
    chunk.energy[row, :-1] += held[:, 1:, 0]
    low, high = flows.reserve_edges_kwh(problem, rows)
    owed = held[:, 0, 0] * b.energy_kwh_initial[rows]
    owed -= (charge * b.p_charge_kw_max[rows] + discharge * b.p_discharge_kw_max[rows]).sum(axis=1)
    for end in (0, 1):
        edges = slice(end, end + len(problem.grid))
        owed += (below[:, :, end] * low[:, edges] - above[:, :, end] * high[:, edges]).sum(axis=1)
    chunk.constant[row] += owed


def _energy_at_best(
    problem: DispatchProblem, chunk: _Chunk, most: tuple[Floats, Floats], yields: Flags
) -> Floats:
    """Least of what stored energy costs over all instants, less its end value, shape (rows,)."""
    low, high = _reachable(problem, chunk.rows, most, yields)
    inner = chunk.energy[:, :-1]
    best = np.minimum(inner * low[:, :-1], inner * high[:, :-1])
    if yields.any():
        best[yields] = _yielding_at_best(
            problem, chunk, np.flatnonzero(yields), low[yields, :-1], high[yields, :-1]
        )
    last = _last_at_best(problem, chunk, yields, low[:, -1], high[:, -1])
    return np.asarray(best.sum(axis=1) + last)


def _reachable(
    problem: DispatchProblem, rows: Rows, most: tuple[Floats, Floats], yields: Flags
) -> tuple[Floats, Floats]:
    """Energies at the instants 1 to T that some powers lead to, cut to each band that is kept."""
    b, step_h = problem.batteries, problem.grid.step_h
    gain = (b.efficiency_charge[rows] * most[0] + b.inflow_kw[rows]) * step_h
    drain = (b.inflow_kw[rows] - most[1] / b.efficiency_discharge[rows]) * step_h
    after = problem.energy_after_loss[rows]
    band_low = np.where(yields[:, None], -np.inf, b.energy_kwh_min[rows, 1:])
    band_high = np.where(yields[:, None], np.inf, b.energy_kwh_max[rows, 1:])
    low, high = np.empty_like(gain), np.empty_like(gain)
    at_low = at_high = b.energy_kwh_initial[rows]
    for t in range(gain.shape[1]):
        one = np.maximum(after[:, t] * at_low + drain[:, t], band_low[:, t])
        other = np.minimum(after[:, t] * at_high + gain[:, t], band_high[:, t])
        # They cross by no more than rounding: a band that could not be kept would yield.
        at_low, at_high = np.minimum(one, other), np.maximum(one, other)
        low[:, t], high[:, t] = at_low, at_high
    return low, high


def _yielding_at_best(
    problem: DispatchProblem,
    chunk: _Chunk,
    yielding: npt.NDArray[np.intp],
    low: Floats,
    high: Floats,
) -> Floats:
    """Where the band yields, energy outside it costs; the best is at an end or at an edge."""
    rows = np.arange(len(problem.batteries))[chunk.rows][yielding]
    edges = (
        problem.batteries.energy_kwh_min[rows, 1:-1],
        problem.batteries.energy_kwh_max[rows, 1:-1],
    )
    price = problem.firm_price_per_kwh * BAND_FACTOR
    reduced = chunk.energy[yielding, :-1]
    best = np.full(low.shape, np.inf)
    for at in (low, high, np.clip(edges[0], low, high), np.clip(edges[1], low, high)):
        outside = np.maximum(np.maximum(edges[0] - at, at - edges[1]), 0.0)
        best = np.minimum(best, reduced * at + price * outside)
    return best


def _last_at_best(
    problem: DispatchProblem, chunk: _Chunk, yields: Flags, low: Floats, high: Floats
) -> Floats:
    """The same for the last instant, where energy also has its end value."""
    b, rows = problem.batteries, chunk.rows
    edge_low, edge_high = b.energy_kwh_min[rows, -1], b.energy_kwh_max[rows, -1]
    price = np.where(yields, problem.firm_price_per_kwh * BAND_FACTOR, 0.0)
    starts, widths = flows.end_value_starts(problem, rows), b.end_value_kwh[rows]
    best = np.full(low.shape, np.inf)
    for at in _last_candidates(low, high, edge_low, edge_high, starts, widths):
        outside = np.maximum(np.maximum(edge_low - at, at - edge_high), 0.0)
        earned = flows.end_value(problem, at, rows)
        best = np.minimum(best, chunk.energy[:, -1] * at + price * outside - earned)
    return best


def _last_candidates(
    low: Floats, high: Floats, edge_low: Floats, edge_high: Floats, starts: Floats, widths: Floats
) -> Iterator[Floats]:
    """Ends, edges of the band and every kink of the end value, within the reachable range."""
    yield low
    yield high
    yield np.clip(edge_low, low, high)
    yield np.clip(edge_high, low, high)
    for piece in range(starts.shape[1]):
        yield np.clip(starts[:, piece], low, high)
        yield np.clip(starts[:, piece] + widths[:, piece], low, high)
