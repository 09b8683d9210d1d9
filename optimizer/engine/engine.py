"""Solve a dispatch problem of continuous batteries by the structured interior-point method."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from optimizer.breaches import find_breaches
from optimizer.certificate import certify
from optimizer.engine import cleaning
from optimizer.engine.batteries import DISCHARGE
from optimizer.engine.loop import Outcome, Team, Work, iterate
from optimizer.engine.presolve import make_fleet, plan_work
from optimizer.engine.presolve.links import never_moves
from optimizer.engine.prices import (
    empty_multipliers,
    set_link_prices,
    set_row_prices,
    set_target_prices,
    share_group_prices,
)
from optimizer.parts import over_parts
from optimizer.plan import Plan, SolverReport, Status, StopReason

if TYPE_CHECKING:
    import numpy.typing as npt

    from optimizer.engine.presolve import Fleet
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
    net: Floats
    multipliers: Multipliers
    outcomes: list[Outcome] = field(default_factory=list)
    columns: int = 0
    rows: int = 0


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
        time_limit_s: the best plan so far is returned at the limit.
        threads: all that the machine has if None. The answer's bits do not depend on them.
    """
    started = time.perf_counter()
    seconds: dict[str, float] = defaultdict(float)
    fleet = make_fleet(problem)
    answer = _empty(fleet)
    seconds["build"] += time.perf_counter() - started
    count = threads or os.cpu_count() or 1

    def late() -> bool:
        return time_limit_s is not None and time.perf_counter() - started > time_limit_s

    def run(work: Work, team: Team) -> None:
        answer.outcomes.append(iterate(work, _SHARE_OF_GAP * gap, late, team))
        _collect(fleet, work, answer)

    with ThreadPoolExecutor(count) as pool:
        plans = plan_work(fleet)
        at = time.perf_counter()
        if len(plans) < 2 * count:
            team = Team(pool if count > 1 else None, count)
            for one in plans:
                run(one(), team)
        else:
            list(pool.map(lambda one: run(one(), Team(None, 1)), plans))
        seconds["solve"] += time.perf_counter() - at
    return _finish(fleet, answer, gap, late(), seconds)


def _empty(fleet: Fleet) -> _Answer:
    shape = fleet.problem.shape
    multipliers = empty_multipliers(fleet.problem)
    set_row_prices(slice(None), fleet.tree.binding.constant, multipliers)
    return _Answer(
        charge=np.zeros(shape),
        discharge=np.zeros(shape),
        generation=np.zeros((len(fleet.problem.generators), shape[1])),
        price=fleet.tree.price.copy(),
        net=fleet.tree.fixed.copy(),
        multipliers=multipliers,
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
    if work.top is not None:
        rows = fleet.tree.binding.row[work.top.kept]
        set_row_prices(rows, work.top.across.price, answer.multipliers)
        answer.rows += len(rows)
    answer.columns += int(sum(box.free.sum() for box, _ in work.boxes))
    answer.rows += cells.value.size + int(work.nodes.is_row.sum())


def _finish(
    fleet: Fleet, answer: _Answer, gap: float, is_late: bool, seconds: dict[str, float]
) -> Plan:
    problem = fleet.problem
    at = time.perf_counter()
    powers = (answer.charge, answer.discharge, answer.generation)
    cleaning.mend_nets(problem, fleet.tree, answer.price, answer.net, powers, fleet.linked)
    share_group_prices(problem, fleet.tree, answer.price, answer.net, answer.multipliers)
    energy = _stored_energy(problem, answer.charge, answer.discharge)
    set_target_prices(problem, energy, answer.multipliers)
    # Any price covers a cap of nothing, if only it is high enough.
    answer.multipliers.cycles_per_kwh[never_moves(problem)] = problem.firm_price_per_kwh
    breaches = find_breaches(problem, *powers, energy)
    seconds["extract"] += time.perf_counter() - at
    plan = Plan(
        problem=problem,
        p_charge_kw=answer.charge,
        p_discharge_kw=answer.discharge,
        energy_kwh=energy,
        generation_kw=answer.generation,
        status=Status.FEASIBLE,
        stop_reason=StopReason.TIME_LIMIT if is_late else StopReason.GAP_REACHED,
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
