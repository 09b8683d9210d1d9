"""The Pyomo model with HiGHS, solved until no battery charges and discharges at once."""

from __future__ import annotations

import time
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from optimizer.breaches import find_breaches
from optimizer.certificate import certify
from optimizer.certificate.certify import gap_scale
from optimizer.certificate.cost import idle_cost
from optimizer.formulation import Layout, build_model, needs_binary
from optimizer.formulation.exclusion import net_out, net_out_at_same_energy, stored_energy_kwh
from optimizer.formulation.extract import (
    Powers,
    Reading,
    read_multipliers,
    read_powers,
    read_reserves,
)
from optimizer.highs import Effort, compile_model, solve_matrix, solver_name
from optimizer.memory import model_bytes, require_memory
from optimizer.plan import Plan, SolverReport, Status, StopReason
from optimizer.reserves import reserve_within

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt
    import pyomo.environ as pyo

    from optimizer.highs import Answer, Matrix
    from optimizer.plan import Multipliers
    from optimizer.problem import DispatchProblem

    Mask = npt.NDArray[np.bool_]

_ROUNDS_BY_INTERVAL = 3
"""Rounds that add binaries only where both happened at once; then the whole horizon gets them."""
_ROUNDS_BY_BATTERY = 8
"""Rounds after which every battery gets them, so that the loop ends."""
_ROUNDING = 1e-12


@dataclass
class _Run:
    """What one call asks for, and where its time goes."""

    problem: DispatchProblem
    gap: float
    time_limit_s: float | None
    threads: int | None
    started: float = field(default_factory=time.perf_counter)
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Count the time of a block under `name`."""
        before = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] += time.perf_counter() - before

    @property
    def time_left_s(self) -> float | None:
        """Seconds until the limit, None without one."""
        if self.time_limit_s is None:
            return None
        return max(self.time_limit_s - (time.perf_counter() - self.started), 0.0)


@dataclass(frozen=True)
class _Round:
    """One model solved."""

    matrix: Matrix
    answer: Answer
    powers: Powers
    reserve_kw: npt.NDArray[np.float64]
    multipliers: Multipliers | None


def solve_monolith(
    problem: DispatchProblem,
    *,
    gap: float = 1e-6,
    time_limit_s: float | None = None,
    threads: int | None = None,
) -> Plan:
    """The cheapest plan by the Pyomo model with HiGHS, with its certificate.

    Args:
        problem: what is asked.
        gap: relative to the profit, as in `Certificate.gap`; only matters with integers.
        time_limit_s: for all solver rounds together.
        threads: for the solver; all that the machine has if None.

    Raises:
        TooLargeError: the model would take more memory than there is.
        SolveError: the solver failed, or found no plan within the time limit.
    """
    require_memory(f"{problem.name}: the Pyomo model", model_bytes(*problem.shape))
    run = _Run(problem, gap, time_limit_s, threads)
    last, powers, rounds = _solve_until_exclusive(run)
    with run.phase("extract"):
        energy = stored_energy_kwh(problem, powers.charge_kw, powers.discharge_kw)
        net = powers.charge_kw - powers.discharge_kw
        reserve = reserve_within(problem, net, energy, last.reserve_kw)
        breaches = find_breaches(problem, *powers, energy, reserve)
    plan = Plan(
        problem=problem,
        p_charge_kw=powers.charge_kw,
        p_discharge_kw=powers.discharge_kw,
        energy_kwh=energy,
        generation_kw=powers.generation_kw,
        reserve_kw=reserve,
        status=Status.OPTIMAL if last.answer.is_proven else Status.FEASIBLE,
        stop_reason=last.answer.stop_reason,
        breaches=breaches,
        multipliers=last.multipliers,
        solver=_report(last, rounds, run),
    )
    with run.phase("certify"):
        certificate = certify(plan, trust_solver=True)
    return replace(plan, certificate=certificate, solver=_report(last, rounds, run))


def _report(last: _Round, rounds: int, run: _Run) -> SolverReport:
    columns, rows, nonzeros = last.matrix.size
    return SolverReport(
        name=solver_name(),
        columns=columns,
        rows=rows,
        nonzeros=nonzeros,
        binaries=last.matrix.integers,
        rounds=rounds,
        bound=last.answer.bound,
        seconds=dict(run.seconds),
    )


def _solve_until_exclusive(run: _Run) -> tuple[_Round, Powers, int]:
    """Solve, add binaries where a battery charges and discharges at once, and solve again.

    A plan without the missing binaries that keeps the rule all the same is optimal with them.
    """
    exclusive, rounds = needs_binary(run.problem), 0
    while True:
        rounds += 1
        one = _solve_round(run, exclusive)
        charge, discharge, at_once = net_out(
            run.problem, one.powers.charge_kw, one.powers.discharge_kw
        )
        if not at_once.any():
            return one, one.powers._replace(charge_kw=charge, discharge_kw=discharge), rounds
        reason = one.answer.stop_reason
        if run.time_left_s == 0.0 or reason is not StopReason.GAP_REACHED:
            if reason is StopReason.GAP_REACHED:
                reason = StopReason.TIME_LIMIT
            late = replace(one.answer, stop_reason=reason, is_proven=False)
            charge, discharge = net_out_at_same_energy(run.problem, charge, discharge)
            powers = one.powers._replace(charge_kw=charge, discharge_kw=discharge)
            return replace(one, answer=late), powers, rounds
        exclusive = exclusive | _next_binaries(at_once, rounds)


def _next_binaries(at_once: Mask, rounds: int) -> Mask:
    if rounds >= _ROUNDS_BY_BATTERY:
        return np.ones(at_once.shape, dtype=bool)
    if rounds >= _ROUNDS_BY_INTERVAL:
        return at_once | at_once.any(axis=1, keepdims=True)
    return at_once


def _solve_round(run: _Run, exclusive: Mask) -> _Round:
    """Build the model with binaries for `exclusive` cells, solve it and read it back."""
    layout = Layout(run.problem, exclusive)
    with run.phase("build"):
        model = build_model(layout)
        matrix = compile_model(model)
    with run.phase("solve"):
        answer = _solve_to_gap(run, layout, model, matrix)
    with run.phase("extract"):
        values = Reading(model, matrix.columns, answer.values)
        powers, reserve = read_powers(layout, values), read_reserves(layout, values)
        multipliers = None
        if answer.row_duals is not None:
            multipliers = read_multipliers(layout, Reading(model, matrix.rows, answer.row_duals))
    return _Round(matrix, answer, powers, reserve, multipliers)


def _solve_to_gap(run: _Run, layout: Layout, model: pyo.ConcreteModel, matrix: Matrix) -> Answer:
    """Solve until the gap is small against the profit.

    HiGHS measures its gap against the objective, so the objective is the cost less the cost of
    doing nothing: minus the profit. Where the profit is small or negative that is still too loose,
    and the solver is called again with the gap in money.
    """
    idle = idle_cost(run.problem).total
    effort = Effort(gap=run.gap, reference=idle, time_limit_s=run.time_left_s, threads=run.threads)
    answer = solve_matrix(matrix, effort)
    if not matrix.integers or not answer.is_proven:
        return answer
    powers = read_powers(layout, Reading(model, matrix.columns, answer.values))
    money = run.gap * gap_scale(run.problem, *powers)
    if answer.objective - answer.bound <= money + _ROUNDING * abs(idle):
        return answer
    tighter = replace(effort, gap=0.0, gap_absolute=money, time_limit_s=run.time_left_s)
    return solve_matrix(matrix, tighter)
