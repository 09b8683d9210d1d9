"""A plan in whole watts that keeps everything the plan keeps, checked and scored again.

What the plan breaks is broken no further: its energies and nets are limits where they lie outside
those of the problem. The method is in `optimizer.rounding.watts`.
"""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from optimizer.breaches import find_breaches
from optimizer.certificate import BY_BRANCH_AND_BOUND, certify
from optimizer.plan import Plan, Status, StopReason
from optimizer.reserves import held_back, reserve_within
from optimizer.rounding.network import unit_weights
from optimizer.rounding.rows import Work, gather
from optimizer.rounding.tree import (
    TOLERANCE,
    broken_rows,
    is_under_broken,
    lean_before_broken,
    make_tree,
    with_all_above,
)
from optimizer.rounding.watts import WATTS_PER_KW, round_output, round_rows

if TYPE_CHECKING:
    import numpy.typing as npt

    from optimizer.problem import DispatchProblem

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

Resolution = Literal[1] | None
"""Watts that every power is a whole multiple of; None leaves powers as they are."""

ROWS_PER_CHUNK = 1024
_LAPS = ((2.0, 0.5), (4.0, 0.5), (8.0, 1.0), (16.0, 2.0), (32.0, 4.0), (64.0, 0.0))
"""A group is gone through again while its net needs it: watts that a power may stray for a net's
sake, and watts that batteries are then to run ahead before the interval where that was not enough.
Last of all fractions of a watt are allowed."""


def in_whole_watts(plan: Plan, *, gap: float = 1e-6, threads: int | None = None) -> Plan:
    """The plan with every power in whole watts and never both directions at once.

    Power limits, bands, targets, ramps, cycle caps, least powers, limits of groups and network rows
    hold as far as they hold in `plan`. Reserves keep their room, but for those that lean on a power
    that must not fall to 0: these may be cut, and what is missing is reported. Steps of
    `power_levels` stay steps, whole watts or not.
    Curtailed generation is rounded; generation that is not curtailed stays what the weather gives.
    Where no whole number of watts does, the power keeps a fraction; `SolverReport.cells_left`
    counts these.

    Args:
        plan: of any solver, or by hand.
        gap: the plan is `OPTIMAL` if its gap in whole watts is within this.
        threads: all that the machine has if None. The bits do not depend on them.

    Returns:
        A plan with breaches and certificate of its own; its bound is that of the same multipliers.
    """
    started = time.perf_counter()
    problem = plan.problem
    # Rounded as if what reserves lean on were not there to be used.
    held = replace(plan, problem=held_back(problem, plan.reserve_kw), reserve_kw=np.zeros(0))
    work = _start(held, is_whole=True)
    left = _round_all(work, threads)
    reserve = reserve_within(problem, work.charge - work.discharge, work.energy, plan.reserve_kw)
    powers = (work.charge, work.discharge, work.generation)
    breaches = find_breaches(problem, *powers, work.energy, reserve)
    took = time.perf_counter() - started
    made = replace(
        plan,
        p_charge_kw=work.charge,
        p_discharge_kw=work.discharge,
        energy_kwh=work.energy,
        generation_kw=work.generation,
        reserve_kw=reserve,
        breaches=breaches,
        certificate=None,
    )
    return _scored(made, plan, gap, left, took)


def follow_within_limits(
    problem: DispatchProblem,
    energy_kwh: Floats,
    generation_kw: Floats,
    threads: int | None = None,
) -> tuple[Floats, Floats, Floats]:
    """Powers that follow `energy_kwh` as far as units and the limits of groups let them.

    What an unfinished solution is worth: batteries are taken one after the other, each up to what
    those before it have left of its groups' limits, and so that its own band and targets hold.

    Args:
        problem: what was asked.
        energy_kwh: shape (N, T+1), stored energy to follow.
        generation_kw: shape (M, T), output of the generators, which stays.
        threads: all that the machine has if None.

    Returns:
        charge, discharge and the energy that they lead to.
    """
    rest = np.broadcast_to(0.0, problem.shape)
    reasons = (Status.FEASIBLE, StopReason.INTERRUPTED)
    work = _start(Plan(problem, rest, rest, energy_kwh, generation_kw, *reasons), is_whole=False)
    _round_all(work, threads)
    return work.charge, work.discharge, work.energy


def _round_all(work: Work, threads: int | None) -> int:
    """Every piece; returns the cells that are not in whole watts."""
    with ThreadPoolExecutor(threads or os.cpu_count() or 1) as pool:
        return sum(pool.map(lambda piece: _round_piece(work, *piece), _pieces(work)))


def _scored(plan: Plan, before: Plan, gap: float, left: int, round_s: float) -> Plan:
    """The plan with its certificate; the solver's bound counts if it counted before rounding."""
    at = time.perf_counter()
    stated, trusted, known = before.certificate, False, None
    if stated is not None and stated.bound_source == BY_BRANCH_AND_BOUND:
        trusted = True
    elif stated is not None:
        known = stated.profit_bound
    certificate = certify(plan, trust_solver=trusted, known_bound=known)
    status = Status.OPTIMAL if certificate.gap <= gap else Status.FEASIBLE
    solver = plan.solver
    if solver is not None:
        seconds = dict(solver.seconds) | {"round": round_s}
        seconds["certify"] = seconds.get("certify", 0.0) + time.perf_counter() - at
        solver = replace(solver, seconds=seconds, resolution_w=1.0, cells_left=left)
    return replace(plan, certificate=certificate, status=status, solver=solver)


def _start(plan: Plan, *, is_whole: bool) -> Work:
    b = plan.problem.batteries
    settled = (b.power_levels > 0) | np.isfinite(b.cycles_per_day_max)
    settled |= np.isfinite(b.ramp_up_kw_per_h) | np.isfinite(b.ramp_down_kw_per_h)
    work = Work(
        plan=plan,
        tree=make_tree(plan, is_whole=is_whole),
        is_settled=settled,
        targets=np.argsort(plan.problem.targets.battery, kind="stable"),
        is_whole=is_whole,
        charge=np.empty(plan.p_charge_kw.shape),
        discharge=np.empty(plan.p_discharge_kw.shape),
        energy=np.empty(plan.energy_kwh.shape),
        generation=plan.generation_kw.copy(),
    )
    work.energy[:, 0] = b.energy_kwh_initial
    return work


def _pieces(work: Work) -> list[tuple[Ints, Ints]]:
    """Rows and generators of whole trees of groups, of about a chunk each or one tree."""
    tree, problem = work.tree, work.plan.problem
    if len(problem.network):  # rows tie all trees together
        order = np.argsort(~work.is_settled, kind="stable")
        return [(order, np.arange(len(problem.generators)))]
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


def _round_piece(work: Work, rows: Ints, outputs: Ints) -> int:
    """One piece, gone through until its nets keep their limits; returns its cells left."""
    tree, plan = work.tree, work.plan
    if len(outputs) and work.is_whole:
        _round_outputs(work, outputs)
    work.charge[rows], work.discharge[rows] = plan.p_charge_kw[rows], plan.p_discharge_kw[rows]
    node = tree.near[plan.problem.batteries.group[rows]]
    nodes = with_all_above(tree, node)
    left, again = np.zeros(len(rows), dtype=np.int64), np.arange(len(rows))
    for far, lean in (*(_LAPS if work.is_whole else ()), (np.inf, 0.0)):
        for start in range(0, len(again), ROWS_PER_CHUNK):
            chunk = again[start : start + ROWS_PER_CHUNK]
            left[chunk] = _round_chunk(work, rows[chunk], far, np.isinf(far))
        broken, row_broken = is_under_broken(tree, nodes, node), bool(broken_rows(tree).any())
        again = np.flatnonzero((broken | row_broken) & ~work.is_settled[rows])
        if not len(again):
            break
        lean_before_broken(tree, nodes, lean)
    if work.is_whole and (broken.any() or row_broken):
        # Too many rows that cannot stray: the plan's own powers keep all nets of the tree.
        root = np.append(tree.root, -1)[node]  # −1 under none
        mine = np.isin(root, root[broken]) | row_broken
        left[mine] = _restore(work, rows[mine], outputs)
    return int(left.sum())


def _round_outputs(work: Work, outputs: Ints) -> None:
    tree, problem = work.tree, work.plan.problem
    table, made = problem.generators, np.empty((len(outputs), len(problem.grid)))
    group = table.group[outputs]
    round_output(
        tree.near[group],
        unit_weights(tree.network, problem, len(problem.batteries) + outputs, group),
        table.p_kw_min[outputs],
        table.p_kw_available[outputs],
        tree.nodes,
        work.plan.generation_kw[outputs],
        made,
    )
    work.generation[outputs] = made


def _restore(work: Work, rows: Ints, outputs: Ints) -> Ints:
    """The plan's own powers for these rows; their cells that are not in whole watts."""
    plan = work.plan
    work.generation[outputs] = plan.generation_kw[outputs]
    work.charge[rows], work.discharge[rows] = plan.p_charge_kw[rows], plan.p_discharge_kw[rows]
    work.energy[rows] = plan.energy_kwh[rows]
    watts = (work.charge[rows] - work.discharge[rows]) * WATTS_PER_KW
    return np.asarray((np.abs(watts - np.round(watts)) > TOLERANCE).sum(axis=1))


def _round_chunk(work: Work, rows: Ints, far: float, exact: bool) -> Ints:
    powers = work.charge[rows] - work.discharge[rows]
    stored, left = np.empty((len(rows), powers.shape[1] + 1)), np.zeros(len(rows), dtype=np.int64)
    columns, nodes = gather(work, rows), work.tree.nodes
    round_rows(columns, nodes, far, exact, work.is_whole, powers, stored, left)
    work.charge[rows], work.discharge[rows] = np.maximum(powers, 0.0), np.maximum(-powers, 0.0)
    work.energy[rows] = stored
    return left
