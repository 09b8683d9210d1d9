"""Solve a dispatch problem of continuous batteries by the structured interior-point method."""

from __future__ import annotations

import os
import threading
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from optimizer.breaches import find_breaches
from optimizer.certificate import certify, cost_of
from optimizer.engine import cleaning
from optimizer.engine.batteries import DISCHARGE
from optimizer.engine.loop import Outcome, Team, Work, iterate
from optimizer.engine.presolve import make_fleet, plan_work
from optimizer.engine.presolve.links import never_moves
from optimizer.engine.prices import (
    add_tie_prices,
    empty_multipliers,
    set_link_prices,
    set_row_prices,
    set_target_prices,
    share_group_prices,
)
from optimizer.engine.tie_rows import TiePrices
from optimizer.interrupts import run_until_interrupt
from optimizer.memory import engine_bytes, require_memory
from optimizer.parts import over_parts
from optimizer.plan import Plan, SolverReport, Status, StopReason
from optimizer.reach import idle_energy_kwh
from optimizer.rounding import follow_within_limits

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from optimizer.engine.presolve import Fleet, Piece
    from optimizer.plan import Multipliers
    from optimizer.problem import DispatchProblem

    Floats = npt.NDArray[np.float64]

NAME = "structured interior point"
_SHARE_OF_GAP = 0.2
"""The loop goes this much further than the gap that is asked: the rest is for cleaning the plan."""


@dataclass
class _Answer:
    """What is collected from the pieces of work."""

    charge: Floats
    discharge: Floats
    generation: Floats
    price: Floats
    tie_price: Floats
    net: Floats
    multipliers: Multipliers
    is_done: npt.NDArray[np.bool_]
    """Batteries of pieces that were solved to their end, shape (N,)."""
    outcomes: list[Outcome] = field(default_factory=list)
    columns: int = 0
    rows: int = 0
    is_whole: bool = True
    """False where a piece was left before it was done."""


def solve_structured(
    problem: DispatchProblem,
    *,
    gap: float = 1e-4,
    time_limit_s: float | None = None,
    threads: int | None = None,
) -> Plan:
    """The cheapest plan of continuous batteries, with its certificate.

    Args:
        problem: what is asked; see `optimizer.engine.features` for what is carried.
        gap: as in `Certificate.gap`.
        time_limit_s: the best plan so far is returned at the limit, and at Ctrl-C.
        threads: all that the machine has if None. The answer's bits do not depend on them.

    Raises:
        TooLargeError: plan and state would take more memory than there is.
    """
    started = time.perf_counter()
    seconds: dict[str, float] = defaultdict(float)
    count = threads or os.cpu_count() or 1
    require_memory(f"{problem.name}: the plan", engine_bytes(*problem.shape))
    fleet = make_fleet(problem)
    plans = plan_work(fleet)
    needed = engine_bytes(*problem.shape, _at_once(plans, count))
    require_memory(f"{problem.name}: the structured solver", needed)
    answer = _empty(fleet)
    seconds["build"] += time.perf_counter() - started
    stopped = threading.Event()

    def late() -> bool:
        timed_out = time_limit_s is not None and time.perf_counter() - started > time_limit_s
        return timed_out or stopped.is_set()

    def work() -> Plan:
        at = time.perf_counter()
        _solve_pieces(fleet, plans, answer, _SHARE_OF_GAP * gap, late, count)
        seconds["solve"] += time.perf_counter() - at
        reason = StopReason.GAP_REACHED if answer.is_whole else StopReason.TIME_LIMIT
        return _finish(fleet, answer, gap, reason, seconds)

    plan, interrupted = run_until_interrupt(work, stopped.set)
    return replace(plan, stop_reason=StopReason.INTERRUPTED) if interrupted else plan


def _side_by_side(plans: list[Piece], threads: int) -> bool:
    """Whether each thread takes whole pieces, or all of them share one piece after the other."""
    return len(plans) >= 2 * threads


def _at_once(plans: list[Piece], threads: int) -> int:
    """Units of the largest pieces that are in memory at the same time."""
    sizes = sorted((plan.units for plan in plans), reverse=True)
    return sum(sizes[: threads if _side_by_side(plans, threads) else 1])


def _solve_pieces(
    fleet: Fleet,
    plans: list[Piece],
    answer: _Answer,
    gap: float,
    late: Callable[[], bool],
    threads: int,
) -> None:
    """Every piece of work, as far as there is time."""

    def run(piece: Piece, team: Team) -> None:
        if late():
            answer.is_whole = False
            return
        work = piece.make(fleet)
        outcome = iterate(work, gap, late, team)
        answer.outcomes.append(outcome)
        _collect(fleet, work, answer)
        if outcome.finished or not late():
            answer.is_done[work.rows[work.rows < len(answer.is_done)]] = True
        else:
            answer.is_whole = False

    with ThreadPoolExecutor(threads) as pool:
        if _side_by_side(plans, threads):
            list(pool.map(lambda piece: run(piece, Team(None, 1)), plans))
        else:
            team = Team(pool if threads > 1 else None, threads)
            for piece in plans:
                run(piece, team)


def _empty(fleet: Fleet) -> _Answer:
    shape = fleet.problem.shape
    multipliers = empty_multipliers(fleet.problem)
    set_row_prices(slice(None), fleet.tree.binding.constant, multipliers)
    return _Answer(
        charge=np.zeros(shape),
        discharge=np.zeros(shape),
        generation=np.zeros((len(fleet.problem.generators), shape[1])),
        price=fleet.tree.price.copy(),
        tie_price=np.zeros(len(fleet.tree.ties.group)),
        net=fleet.tree.fixed.copy(),
        multipliers=multipliers,
        is_done=np.zeros(shape[0], dtype=bool),
    )


def _collect(fleet: Fleet, work: Work, answer: _Answer) -> None:
    cells, count = work.cells, len(fleet.problem.batteries)
    solution = cleaning.solution_of(work)
    mine = work.rows < count
    rows = work.rows[mine]
    answer.charge[rows], answer.discharge[rows] = cleaning.clean_powers(fleet, work, solution)
    answer.multipliers.energy_value_per_kwh[rows] = cells.value[mine]
    set_link_prices(work.links, work.rows, answer.multipliers)
    table, units = fleet.problem.generators, work.rows[~mine] - count
    answer.generation[units] = np.clip(
        solution[~mine, DISCHARGE], table.p_kw_min[units], table.p_kw_available[units]
    )
    answer.price[work.nodes_at] = work.nodes.price
    answer.net[work.nodes_at] = work.nodes.net + work.nodes.fixed
    answer.tie_price[work.tie_rows] = work.ties.price
    if work.top is not None:
        rows = fleet.tree.binding.row[work.top.kept]
        set_row_prices(rows, work.top.across.price, answer.multipliers)
        answer.rows += len(rows)
    answer.columns += int(sum(box.free.sum() for box, _ in work.boxes))
    answer.rows += cells.value.size + int(work.nodes.is_row.sum())


def _finish(
    fleet: Fleet, answer: _Answer, gap: float, reason: StopReason, seconds: dict[str, float]
) -> Plan:
    problem = fleet.problem
    at = time.perf_counter()
    powers = (answer.charge, answer.discharge, answer.generation)
    if answer.is_whole:
        cleaning.mend_nets(problem, fleet.tree, answer.price, answer.net, powers, fleet.linked)
    else:
        powers = _keep_limits(problem, answer)
    ties = fleet.tree.ties
    own = answer.price - ties.prices_at(answer.tie_price, *answer.price.shape)
    share_group_prices(problem, fleet.tree, own, answer.net, answer.multipliers)
    moving = TiePrices(ties.kind, ties.limit, ties.interval, answer.tie_price)
    for one in (moving, fleet.tree.still):
        add_tie_prices(one, answer.multipliers)
    charge, discharge, generation = powers
    energy = _stored_energy(problem, charge, discharge)
    set_target_prices(problem, energy, answer.multipliers)
    # Any price covers a cap of nothing, if only it is high enough.
    answer.multipliers.cycles_per_kwh[never_moves(problem, np.arange(problem.shape[0]))] = (
        problem.firm_price_per_kwh
    )
    breaches = find_breaches(problem, *powers, energy)
    seconds["extract"] += time.perf_counter() - at
    plan = Plan(
        problem=problem,
        p_charge_kw=charge,
        p_discharge_kw=discharge,
        energy_kwh=energy,
        generation_kw=generation,
        status=Status.FEASIBLE,
        stop_reason=reason,
        breaches=breaches,
        multipliers=answer.multipliers,
    )
    at = time.perf_counter()
    certificate = certify(plan)
    seconds["certify"] += time.perf_counter() - at
    report = SolverReport(
        name=NAME,
        columns=answer.columns,
        rows=answer.rows,
        nonzeros=0,
        binaries=0,
        rounds=max((one.iterations for one in answer.outcomes), default=0),
        bound=float("nan"),
        seconds=dict(seconds),
    )
    status = Status.OPTIMAL if certificate.gap <= gap else Status.FEASIBLE
    return replace(plan, certificate=certificate, status=status, solver=report)


def _stored_energy(problem: DispatchProblem, charge: Floats, discharge: Floats) -> Floats:
    """Energy by instant, shape (N, T+1), a few thousand batteries at a time."""
    step_h = problem.grid.step_h
    energy = np.empty((len(charge), len(step_h) + 1))

    def of_part(rows: slice, part: DispatchProblem) -> None:
        b = part.batteries
        energy[rows, 0] = b.energy_kwh_initial
        flow = b.efficiency_charge * charge[rows]
        flow -= discharge[rows] / b.efficiency_discharge
        cleaning.store_energy(energy[rows], flow, part.energy_after_loss, b.inflow_kw, step_h)

    over_parts(problem, of_part)
    return energy


def _keep_limits(problem: DispatchProblem, answer: _Answer) -> tuple[Floats, Floats, Floats]:
    """The best of what was not solved to its end, and nothing worse than doing nothing.

    Powers follow the solution's energies within all limits, of every piece or of those that were
    solved to their end. Pieces that were not begun are at rest.
    """
    energy = _stored_energy(problem, answer.charge, answer.discharge)
    solved = np.where(answer.is_done[:, None], energy, idle_energy_kwh(problem))
    found = [
        (*follow_within_limits(problem, wanted, answer.generation)[:2], answer.generation)
        for wanted in (energy, solved)
    ]
    rest = np.zeros(problem.shape)
    found.append((rest, rest.copy(), problem.generators.p_kw_available.copy()))
    return min(found, key=lambda powers: cost_of(problem, *powers).total)
