"""A plan in whole watts that keeps everything the plan keeps, checked and scored again.

What the plan breaks is broken no further: its energies and nets are limits where they lie outside
those of the problem. The method is in `optimizer.watts`.
"""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from optimizer.breaches import find_breaches, net_power_kw
from optimizer.certificate import BY_BRANCH_AND_BOUND, certify
from optimizer.plan import Plan, Status
from optimizer.problem import NO_GROUP
from optimizer.watts import WATTS_PER_KW, Nodes, Rows, round_output, round_rows

if TYPE_CHECKING:
    import numpy.typing as npt

    from optimizer.problem import DispatchProblem

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

Resolution = Literal[1] | None
"""Watts that every power is a whole multiple of; None leaves powers as they are."""

ROWS_PER_CHUNK = 1024
_NET_TOLERANCE = 1e-6
_OFF_KW = 0.5 / WATTS_PER_KW
_LAPS = ((2.0, 0.5), (4.0, 0.5), (8.0, 1.0), (16.0, 2.0), (32.0, 4.0), (64.0, 0.0))
"""A group is gone through again while its net needs it: watts that a power may stray for a net's
sake, and watts that batteries are then to run ahead before the interval where that was not enough.
Last of all fractions of a watt are allowed."""


@dataclass(frozen=True, eq=False)
class _Tree:
    """Groups with limits, and the units below them.

    Attributes:
        nodes: see `optimizer.watts`.
        near: shape (G+1,), first node at or above each group; the last row is for no group.
        root: shape (m,), the topmost node above each node.
        tolerance: shape (m, T), W by which a net may miss its limit.
        asked: shape (m, T), W to run ahead for the sake of this interval.
    """

    nodes: Nodes
    near: Ints
    root: Ints
    tolerance: Floats
    asked: Floats


def in_whole_watts(plan: Plan, *, gap: float = 1e-6, threads: int | None = None) -> Plan:
    """The plan with every power in whole watts and never both directions at once.

    Power limits, bands, targets, ramps, cycle caps, least powers and the limits of groups hold as
    far as they hold in `plan`. Steps of `power_levels` stay steps, whole watts or not. Curtailed
    generation is rounded; generation that is not curtailed stays what the weather gives. Where no
    whole number of watts does, the power keeps a fraction; `SolverReport.cells_left` counts these.

    Args:
        plan: of any solver, or by hand.
        gap: the plan is `OPTIMAL` if its gap in whole watts is within this.
        threads: all that the machine has if None. The bits do not depend on them.

    Returns:
        A plan with breaches and certificate of its own; its bound is that of the same multipliers.
    """
    started = time.perf_counter()
    problem, work = plan.problem, _start(plan)
    pieces = _pieces(work)
    with ThreadPoolExecutor(threads or os.cpu_count() or 1) as pool:
        left = sum(pool.map(lambda piece: _round_piece(work, *piece), pieces))
    breaches = find_breaches(problem, work.charge, work.discharge, work.generation, work.energy)
    took = time.perf_counter() - started
    made = replace(
        plan,
        p_charge_kw=work.charge,
        p_discharge_kw=work.discharge,
        energy_kwh=work.energy,
        generation_kw=work.generation,
        breaches=breaches,
        certificate=None,
    )
    return _scored(made, plan, gap, left, took)


def _scored(plan: Plan, before: Plan, gap: float, left: int, round_s: float) -> Plan:
    """The plan with its certificate; the solver's bound counts if it counted before rounding."""
    at = time.perf_counter()
    trusted = before.certificate is not None and (
        before.certificate.bound_source == BY_BRANCH_AND_BOUND
    )
    certificate = certify(plan, trust_solver=trusted)
    status = Status.OPTIMAL if certificate.gap <= gap else Status.FEASIBLE
    solver = plan.solver
    if solver is not None:
        seconds = dict(solver.seconds) | {"round": round_s}
        seconds["certify"] = seconds.get("certify", 0.0) + time.perf_counter() - at
        solver = replace(solver, seconds=seconds, resolution_w=1.0, cells_left=left)
    return replace(plan, certificate=certificate, status=status, solver=solver)


@dataclass(frozen=True, eq=False)
class _Work:
    """A plan on its way to whole watts.

    Attributes:
        plan: as it was.
        tree: groups with limits.
        is_settled: shape (N,), see `optimizer.watts.Rows`.
        targets: order of the targets by battery.
        charge, discharge, energy, generation: of the plan in whole watts, as far as it is done.
    """

    plan: Plan
    tree: _Tree
    is_settled: npt.NDArray[np.bool_]
    targets: Ints
    charge: Floats
    discharge: Floats
    energy: Floats
    generation: Floats


def _start(plan: Plan) -> _Work:
    b = plan.problem.batteries
    settled = (b.power_levels > 0) | np.isfinite(b.cycles_per_day_max)
    settled |= np.isfinite(b.ramp_up_kw_per_h) | np.isfinite(b.ramp_down_kw_per_h)
    work = _Work(
        plan=plan,
        tree=_make_tree(plan),
        is_settled=settled,
        targets=np.argsort(plan.problem.targets.battery, kind="stable"),
        charge=np.empty_like(plan.p_charge_kw),
        discharge=np.empty_like(plan.p_discharge_kw),
        energy=np.empty_like(plan.energy_kwh),
        generation=plan.generation_kw.copy(),
    )
    work.energy[:, 0] = b.energy_kwh_initial
    return work


def _make_tree(plan: Plan) -> _Tree:
    problem = plan.problem
    groups, limits, shape = problem.groups, problem.limits, (0, len(problem.grid))
    held = np.unique(limits.group)  # NO_GROUP, the whole, comes first
    place = np.full(len(groups) + 1, -1)
    place[held] = np.arange(len(held))
    parent = np.append(groups.parent, NO_GROUP)
    at = np.arange(len(groups) + 1)
    while True:
        climbs = (place[at] < 0) & (at != len(groups))
        if not climbs.any():
            break
        at = np.where(climbs, parent[at] % (len(groups) + 1), at)
    near = place[at]
    above = np.where(held == NO_GROUP, -1, near[parent[held]])
    root = np.arange(len(held))
    while (above[root] >= 0).any():
        root = np.where(above[root] >= 0, above[root], root)
    if not len(held):
        none = np.zeros(shape)
        return _Tree(Nodes(above, none, none, none, none), near, root, none, none)
    net = net_power_kw(problem, plan.p_charge_kw - plan.p_discharge_kw, plan.generation_kw)[held]
    most, least = np.full(net.shape, np.inf), np.full(net.shape, -np.inf)
    row = place[limits.group]
    np.minimum.at(most, row, _kept(limits.p_kw_max, net[row], 1.0) - net[row])
    np.maximum.at(least, row, _kept(limits.p_kw_min, net[row], -1.0) - net[row])
    nodes = Nodes(
        parent=above,
        moved=np.zeros(net.shape),
        least=least * WATTS_PER_KW,
        most=most * WATTS_PER_KW,
        lean=np.zeros(net.shape),
    )
    tolerance = _NET_TOLERANCE * WATTS_PER_KW * np.maximum(1.0, np.abs(net))
    return _Tree(nodes, near, root, tolerance, np.zeros(net.shape))


def _kept(edge: Floats, net: Floats, side: float) -> Floats:
    """The limit where the plan keeps it, else the plan's net: broken, but no further."""
    scale = np.where(np.isfinite(edge), np.maximum(1.0, np.abs(edge)), 1.0)
    return np.where(side * (net - edge) > _NET_TOLERANCE * scale, net, edge)


def _pieces(work: _Work) -> list[tuple[Ints, Ints]]:
    """Rows and generators of whole trees of groups, of about a chunk each or one tree."""
    tree, problem = work.tree, work.plan.problem
    loose = len(tree.root)

    def root_of(group: Ints) -> Ints:
        node = tree.near[group]
        return np.where(node >= 0, np.append(tree.root, loose)[node], loose)

    of_battery, of_generator = root_of(problem.batteries.group), root_of(problem.generators.group)
    # Rows that do not make up for others come first in their tree.
    order = np.lexsort((~work.is_settled, of_battery))
    edges = np.searchsorted(of_battery[order], np.arange(loose + 1))
    outputs = np.argsort(of_generator, kind="stable")
    output_edges = np.searchsorted(of_generator[outputs], np.arange(loose + 1))
    pieces, first = [], 0
    while first < loose:
        last = int(np.searchsorted(edges, edges[first] + ROWS_PER_CHUNK, side="right"))
        last = min(max(last - 1, first + 1), loose)
        rows = order[edges[first] : edges[last]]
        pieces.append((rows, outputs[output_edges[first] : output_edges[last]]))
        first = last
    free = order[edges[loose] :]
    starts = range(0, len(free), ROWS_PER_CHUNK)
    pieces += [(free[start : start + ROWS_PER_CHUNK], outputs[:0]) for start in starts]
    pieces.append((free[:0], outputs[output_edges[loose] :]))
    return pieces


def _round_piece(work: _Work, rows: Ints, outputs: Ints) -> int:
    """One piece, gone through until its nets keep their limits; returns its cells left."""
    tree, plan = work.tree, work.plan
    table = plan.problem.generators
    if len(outputs):
        made = np.empty((len(outputs), len(plan.problem.grid)))
        round_output(
            tree.near[table.group[outputs]], table.p_kw_min[outputs],
            table.p_kw_available[outputs], tree.nodes, plan.generation_kw[outputs], made,
        )  # fmt: skip
        work.generation[outputs] = made
    work.charge[rows], work.discharge[rows] = plan.p_charge_kw[rows], plan.p_discharge_kw[rows]
    node = tree.near[plan.problem.batteries.group[rows]]
    left, again = np.zeros(len(rows), dtype=np.int64), np.arange(len(rows))
    nodes = _with_all_above(tree, node)
    for far, lean in (*_LAPS, (np.inf, 0.0)):
        for start in range(0, len(again), ROWS_PER_CHUNK):
            chunk = again[start : start + ROWS_PER_CHUNK]
            left[chunk] = _round_chunk(work, rows[chunk], far, np.isinf(far))
        broken = _is_under_broken(tree, nodes, node)
        again = np.flatnonzero(broken & ~work.is_settled[rows])
        if not len(again):
            break
        _lean_before_broken(tree, nodes, lean)
    if broken.any():
        # Too many rows that cannot stray: the plan's own powers keep all nets of the tree.
        mine = np.isin(tree.root[node], tree.root[node[broken]]) & (node >= 0)
        left[mine] = _restore(work, rows[mine], outputs)
    return int(left.sum())


def _with_all_above(tree: _Tree, node: Ints) -> Ints:
    """The nodes that units hang under, and all above these."""
    found, at = [np.zeros(0, dtype=np.int64)], np.unique(node[node >= 0])
    while len(at):
        found.append(at)
        above = tree.nodes.parent[at]
        at = np.unique(above[above >= 0])
    return np.unique(np.concatenate(found))


def _broken_sides(tree: _Tree, at: Ints) -> Floats:
    """1 where a net is moved above its limit, −1 where below, else 0; shape (nodes, T)."""
    nodes, tolerance = tree.nodes, tree.tolerance[at]
    above = nodes.moved[at] - nodes.most[at] > tolerance
    return above.astype(float) - (nodes.least[at] - nodes.moved[at] > tolerance)


def _is_under_broken(tree: _Tree, nodes: Ints, node: Ints) -> npt.NDArray[np.bool_]:
    """Units with a net above them that is moved further than it may be."""
    parent = np.append(tree.nodes.parent, -1)  # −1, for no node, is a place of its own
    is_broken = np.zeros(len(parent), dtype=bool)
    is_broken[nodes] = _broken_sides(tree, nodes).any(axis=1)
    found, above = np.zeros(len(node), dtype=bool), node
    while (above >= 0).any():
        found |= is_broken[above]
        above = parent[above]
    return found


def _lean_before_broken(tree: _Tree, nodes: Ints, watts: float) -> None:
    """Let batteries run ahead, up to each interval where a net was not kept and more than before.

    Where a net is too high, they store more beforehand and need less in that interval.
    """
    tree.asked[nodes] += watts * _broken_sides(tree, nodes)
    ahead = np.zeros(len(nodes))
    for t in range(tree.asked.shape[1] - 1, -1, -1):
        tree.nodes.lean[nodes, t] = ahead
        here = tree.asked[nodes, t]
        ahead = np.where(here != 0.0, here, ahead)


def _restore(work: _Work, rows: Ints, outputs: Ints) -> Ints:
    """The plan's own powers for these rows; their cells that are not in whole watts."""
    plan = work.plan
    work.generation[outputs] = plan.generation_kw[outputs]
    work.charge[rows], work.discharge[rows] = plan.p_charge_kw[rows], plan.p_discharge_kw[rows]
    work.energy[rows] = plan.energy_kwh[rows]
    watts = (work.charge[rows] - work.discharge[rows]) * WATTS_PER_KW
    return np.asarray((np.abs(watts - np.round(watts)) > _NET_TOLERANCE).sum(axis=1))


def _round_chunk(work: _Work, rows: Ints, far: float, exact: bool) -> Ints:
    powers = work.charge[rows] - work.discharge[rows]
    stored, left = np.empty((len(rows), powers.shape[1] + 1)), np.zeros(len(rows), dtype=np.int64)
    round_rows(_gather(work, rows), work.tree.nodes, far, exact, powers, stored, left)
    work.charge[rows], work.discharge[rows] = np.maximum(powers, 0.0), np.maximum(-powers, 0.0)
    work.energy[rows] = stored
    return left


def _gather(work: _Work, rows: Ints) -> Rows:
    """Columns of some batteries, close together in memory."""
    plan, problem, b = work.plan, work.plan.problem, work.plan.problem.batteries
    step_h, days = problem.grid.step_h, problem.days
    charge, discharge = plan.p_charge_kw[rows], plan.p_discharge_kw[rows]
    power, energy = charge - discharge, plan.energy_kwh[rows]
    gain, drain = b.efficiency_charge[rows] * step_h, step_h / b.efficiency_discharge[rows]
    energy_low = _kept(b.energy_kwh_min[rows], energy, -1.0)
    energy_high = _kept(b.energy_kwh_max[rows], energy, 1.0)
    energy[:, 0] = energy_low[:, 0] = energy_high[:, 0] = b.energy_kwh_initial[rows]
    low, high = _powers_of(problem, rows, power)
    hours = (np.append(step_h[:1], step_h[:-1]) + step_h) / 2
    spare = np.full((len(rows), int(days[-1]) + 1), np.inf)
    capped = np.isfinite(b.cycles_per_day_max[rows])
    if capped.any():
        moved = np.abs(gain * charge + drain * discharge)[capped]
        planned = np.stack([moved[:, days == d].sum(axis=1) for d in range(spare.shape[1])], axis=1)
        most = 2.0 * b.energy_kwh_rated[rows[capped]] * b.cycles_per_day_max[rows[capped]]
        spare[capped] = np.maximum(most[:, None] - planned, 0.0)
    return Rows(
        low=low,
        high=high,
        gain=gain,
        drain=drain,
        kept=problem.energy_after_loss[rows],
        inflow=b.inflow_kw[rows] * step_h,
        energy_low=energy_low,
        energy_high=energy_high,
        power=power,
        energy=energy,
        node=work.tree.near[b.group[rows]],
        is_settled=work.is_settled[rows],
        ramp_up=b.ramp_up_kw_per_h[rows, None] * hours,
        ramp_down=b.ramp_down_kw_per_h[rows, None] * hours,
        before=b.p_kw_initial[rows],
        day=days,
        spare=spare,
        **_targets_of(work, rows, energy),
    )


def _powers_of(problem: DispatchProblem, rows: Ints, power: Floats) -> tuple[Floats, Floats]:
    """Least and most power of each cell; what is off below a least power, and a step, stays."""
    b = problem.batteries
    low, high = -b.p_discharge_kw_max[rows], b.p_charge_kw_max[rows]
    if not b.is_discrete[rows].any():
        return low, high
    least, is_on = b.p_charge_kw_min[rows, None], power > _OFF_KW
    low = np.where((least > 0) & is_on, least, low)
    high = np.where((least > 0) & ~is_on, np.minimum(high, 0.0), high)
    least, is_on = b.p_discharge_kw_min[rows, None], power < -_OFF_KW
    high = np.where((least > 0) & is_on, -least, high)
    low = np.where((least > 0) & ~is_on, np.maximum(low, 0.0), low)
    levels = b.power_levels[rows, None]
    step = np.where(power >= 0, b.p_charge_kw_max[rows], b.p_discharge_kw_max[rows])
    step = step / np.maximum(levels, 1)
    on_step = np.round(power / np.where(step > 0, step, 1.0)) * step
    return np.where(levels > 0, on_step, low), np.where(levels > 0, on_step, high)


def _targets_of(work: _Work, rows: Ints, energy: Floats) -> dict[str, npt.NDArray[Any]]:
    """The targets of some batteries, as far as the plan reaches them."""
    problem, targets = work.plan.problem, work.plan.problem.targets
    by_battery = targets.battery[work.targets]
    start, stop = np.searchsorted(by_battery, rows), np.searchsorted(by_battery, rows + 1)
    edges = np.append(0, np.cumsum(stop - start))
    owner = np.repeat(np.arange(len(rows)), stop - start)
    mine = work.targets[np.arange(edges[-1]) - edges[owner] + start[owner]]
    at, share = targets.interval[mine], targets.share[mine]
    kept = problem.energy_after_loss[targets.battery[mine], at]
    first = kept**share - share * kept
    reached = first * energy[owner, at] + share * energy[owner, at + 1]
    return {
        "target_start": edges,
        "target_at": at,
        "target_first": first,
        "target_last": share,
        "target_low": _kept(targets.energy_kwh_min[mine], reached, -1.0),
        "target_high": _kept(targets.energy_kwh_max[mine], reached, 1.0),
    }
