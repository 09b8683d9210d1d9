"""What a plan does not keep: named, sized and timed, from its arrays alone."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np

from optimizer.parts import over_parts
from optimizer.plan import Breach
from optimizer.problem import NO_GROUP
from optimizer.sums import NetPower, add_rows
from twins.timegrid import iso

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from optimizer.problem import DispatchProblem

    Floats = npt.NDArray[np.float64]

TOLERANCE = 1e-6
"""Smaller breaches, relative to ``max(1, |limit|)``, are a solver's rounding."""
_KINDS = ("limit", "limit ramp", "network", "reserve", "target", "band", "ramp")


def find_breaches(
    problem: DispatchProblem,
    p_charge_kw: Floats,
    p_discharge_kw: Floats,
    generation_kw: Floats,
    energy_kwh: Floats,
    reserve_kw: Floats | None = None,
) -> tuple[Breach, ...]:
    """Every breach of a rule that can be bought off, by kind and the largest first.

    Args:
        problem: what was asked.
        p_charge_kw: shape (N, T).
        p_discharge_kw: shape (N, T).
        generation_kw: shape (M, T).
        energy_kwh: shape (N, T+1).
        reserve_kw: shape (P, T), reserves kept; None: none.
    """
    p_kw = NetPower(p_charge_kw, p_discharge_kw)
    net = net_power_kw(problem, p_kw, generation_kw)

    def of_part(rows: slice, part: DispatchProblem) -> list[Breach]:
        energy = energy_kwh[rows]
        return [
            *_target_breaches(part, energy),
            *_band_breaches(part, energy),
            *_ramp_breaches(part, p_kw[rows]),
        ]

    found = [
        *_limit_breaches(problem, net),
        *_limit_ramp_breaches(problem, net),
        *_network_breaches(problem, p_kw, generation_kw, net),
        *_reserve_breaches(problem, reserve_kw),
        *itertools.chain.from_iterable(over_parts(problem, of_part)),
    ]
    return tuple(sorted(found, key=lambda breach: (_KINDS.index(breach.kind), -breach.size)))


def net_power_kw(
    problem: DispatchProblem, p_kw: Floats | NetPower, generation_kw: Floats
) -> Floats:
    """Net power of every group, with the whole as its last row (index −1). Shape (G+1, T)."""
    groups = problem.groups
    own = np.zeros((len(groups) + 1, len(problem.grid)))
    own[:-1] = groups.load_kw - groups.generation_kw
    add_rows(own, problem.batteries.group, p_kw)
    add_rows(own, problem.generators.group, -generation_kw)
    net = own.copy()
    net[NO_GROUP] = own.sum(axis=0)
    for group, chain in enumerate(groups.ancestors):
        for above in chain[1:]:
            net[above] += own[group]
    return net


def target_moments(problem: DispatchProblem) -> npt.NDArray[np.datetime64]:
    """The moment of each target, shape (K,)."""
    instants, targets = problem.grid.instants, problem.targets
    length_ns = np.diff(instants)[targets.interval].astype(np.int64)
    passed = np.round(length_ns * targets.share).astype("timedelta64[ns]")
    return np.asarray(instants[targets.interval] + passed)


def _limit_breaches(problem: DispatchProblem, net_kw: Floats) -> Iterator[Breach]:
    limits, starts = problem.limits, problem.grid.starts
    net = net_kw[limits.group]
    for side, edge, over in (
        ("above", limits.p_kw_max, net - limits.p_kw_max),
        ("below", limits.p_kw_min, limits.p_kw_min - net),
    ):
        for row, at in _broken(over, edge):
            name, firm = limits.limit_id[row], bool(limits.is_firm[row])
            yield Breach("limit", name, iso(starts[at]), float(over[row, at]), "kW", side, firm)


def _limit_ramp_breaches(problem: DispatchProblem, net_kw: Floats) -> Iterator[Breach]:
    limits, starts = problem.limits, problem.grid.starts
    rows = np.flatnonzero(limits.has_ramp)
    slope = _slopes(problem, net_kw[limits.group[rows]], limits.p_kw_initial[rows])
    for side, rate, sign in (
        ("above", limits.ramp_up_kw_per_h[rows], 1.0),
        ("below", limits.ramp_down_kw_per_h[rows], -1.0),
    ):
        over = sign * slope - rate[:, None]
        for row, at in _broken(over, rate[:, None]):
            name, firm = limits.limit_id[rows[row]], bool(limits.has_firm_ramp[rows[row]])
            size = float(over[row, at])
            yield Breach("limit ramp", name, iso(starts[at]), size, "kW/h", side, firm)


def _network_breaches(
    problem: DispatchProblem, p_kw: NetPower, generation_kw: Floats, net_kw: Floats
) -> Iterator[Breach]:
    rows, starts = problem.network, problem.grid.starts
    value, batteries = np.zeros(len(rows)), len(problem.batteries)
    for row, unit, group, weight in zip(
        rows.entry_row, rows.entry_unit, rows.entry_group, rows.weight, strict=True
    ):
        t = rows.interval[row]
        if unit < 0:
            value[row] += weight * net_kw[group, t]
        elif unit < batteries:
            value[row] += weight * float(p_kw[unit, t])
        else:
            value[row] -= weight * generation_kw[unit - batteries, t]
    for side, edge, over in (
        ("above", rows.p_kw_max, value - rows.p_kw_max),
        ("below", rows.p_kw_min, rows.p_kw_min - value),
    ):
        for row, _ in _broken(over[:, None], edge[:, None]):
            name, when = rows.row_id[row], iso(starts[rows.interval[row]])
            firm = bool(rows.is_firm[row])
            yield Breach("network", name, when, float(over[row]), "kW", side, firm)


def _reserve_breaches(problem: DispatchProblem, reserve_kw: Floats | None) -> Iterator[Breach]:
    products, starts = problem.reserves, problem.grid.starts
    if not len(products):
        return
    kept = np.zeros_like(products.p_kw_required)
    if reserve_kw is not None:
        np.add.at(kept, problem.reserve_pairs[:, 0], reserve_kw)
    short = products.p_kw_required - kept
    for row, at in _broken(short, products.p_kw_required):
        name, firm = products.reserve_id[row], bool(products.is_firm[row])
        yield Breach("reserve", name, iso(starts[at]), float(short[row, at]), "kW", "below", firm)


def _target_breaches(problem: DispatchProblem, energy_kwh: Floats) -> Iterator[Breach]:
    targets, names, moments = problem.targets, problem.batteries.battery_id, target_moments(problem)
    at, share = targets.interval, targets.share
    kept = problem.energy_after_loss[targets.battery, at]
    first, last = energy_kwh[targets.battery, at], energy_kwh[targets.battery, at + 1]
    reached = kept**share * first + share * (last - kept * first)
    for side, edge, over in (
        ("below", targets.energy_kwh_min, targets.energy_kwh_min - reached),
        ("above", targets.energy_kwh_max, reached - targets.energy_kwh_max),
    ):
        for k, _ in _broken(over[:, None], edge[:, None]):
            name, firm = names[int(targets.battery[k])], bool(targets.is_firm[k])
            yield Breach("target", name, iso(moments[k]), float(over[k]), "kWh", side, firm)


def _band_breaches(problem: DispatchProblem, energy_kwh: Floats) -> Iterator[Breach]:
    b, instants = problem.batteries, problem.grid.instants[1:]
    low, high, energy = b.energy_kwh_min[:, 1:], b.energy_kwh_max[:, 1:], energy_kwh[:, 1:]
    for side, edge, over in (("above", high, energy - high), ("below", low, low - energy)):
        for row, at in _broken(over, edge):
            name, size = b.battery_id[row], float(over[row, at])
            yield Breach("band", name, iso(instants[at]), size, "kWh", side, True)


def _ramp_breaches(problem: DispatchProblem, p_kw: Floats) -> Iterator[Breach]:
    b, starts = problem.batteries, problem.grid.starts
    if np.isinf(b.ramp_up_kw_per_h).all() and np.isinf(b.ramp_down_kw_per_h).all():
        return
    slope = _slopes(problem, p_kw, b.p_kw_initial)
    for side, rate, over in (
        ("above", b.ramp_up_kw_per_h, slope - b.ramp_up_kw_per_h[:, None]),
        ("below", b.ramp_down_kw_per_h, -slope - b.ramp_down_kw_per_h[:, None]),
    ):
        for row, at in _broken(over, rate[:, None]):
            name, size = b.battery_id[row], float(over[row, at])
            yield Breach("ramp", name, iso(starts[at]), size, "kW/h", side, True)


def _slopes(problem: DispatchProblem, p_kw: Floats, p_kw_initial: Floats) -> Floats:
    """Change of power into each interval, kW per hour between midpoints; 0 where it is free."""
    step_h = problem.grid.step_h
    hours = (np.concatenate([step_h[:1], step_h[:-1]]) + step_h) / 2
    step = p_kw - np.concatenate([p_kw_initial[:, None], p_kw[:, :-1]], axis=1)
    step[:, 0] = np.nan_to_num(step[:, 0], nan=0.0)
    return np.asarray(step / hours)


def _broken(over: Floats, edge: Floats) -> Sequence[tuple[int, int]]:
    """Cells where `over` is more than a solver's rounding of `edge`."""
    scale = np.where(np.isfinite(edge), np.maximum(1.0, np.abs(edge)), 1.0)
    broken = over > TOLERANCE * scale
    return [(row, at) for row, at in np.argwhere(broken).tolist()] if broken.any() else []
