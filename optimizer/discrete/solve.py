"""Solve a dispatch problem with discrete batteries, however many there are."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from optimizer.breaches import find_breaches
from optimizer.certificate import certify
from optimizer.certificate.flows import stored_energy_kwh
from optimizer.certificate.own import searched_rows
from optimizer.certificate.prices import node_prices, project
from optimizer.discrete.ascent import ascend
from optimizer.discrete.features import beyond_oracles
from optimizer.discrete.local import improve
from optimizer.discrete.oracle import respond
from optimizer.discrete.rounds import Search, run_rounds, start
from optimizer.discrete.split import relaxed
from optimizer.engine.engine import solve_structured
from optimizer.plan import Plan, SolverReport, Status, StopReason

if TYPE_CHECKING:
    from optimizer.problem import DispatchProblem

NAME = "structured interior point, exact oracles"
ROUNDS_MOST = 8
CROWDED_GAP = 2e-3
"""A gap beyond which discrete batteries are too many for the rest to absorb: they take turns."""
SWEEPS, SEARCHES_MOST = 60, 2
_ENGINE_GAP = 1e-6


def solve_discrete(
    problem: DispatchProblem,
    *,
    gap: float = 1e-3,
    time_limit_s: float | None = None,
    threads: int | None = None,
) -> Plan:
    """The cheapest plan found, with its certificate.

    Args:
        problem: what is asked; see `optimizer.engine.features` for what is carried.
        gap: as in `Certificate.gap`; the search ends when it is reached.
        time_limit_s: the best plan so far is returned at the limit.
        threads: all that the machine has if None.
    """
    started = time.perf_counter()
    deadline = np.inf if time_limit_s is None else started + time_limit_s
    first = solve_structured(relaxed(problem), gap=_ENGINE_GAP, threads=threads)
    assert first.multipliers is not None
    prices = project(problem, first.multipliers)
    burns = np.zeros(len(problem.batteries), dtype=bool)
    burns[searched_rows(problem, node_prices(problem, prices))] = True
    beyond = np.any(list(beyond_oracles(problem).values()), axis=0)
    # Where only the prices of limits reward burning energy, the engine's own plan will do too.
    rows = np.flatnonzero(problem.batteries.is_discrete | (burns & ~beyond))
    seconds = {"relaxation": time.perf_counter() - started}
    search = start(problem, rows, first.multipliers, threads, deadline)
    if search.rest.part is not None:
        run_rounds(search, gap, ROUNDS_MOST)
    if search.gap > max(gap, CROWDED_GAP) and not search.is_late:
        _search_crowds(search, gap)
    return _finished(search, gap, seconds | search.seconds)


def _search_crowds(search: Search, gap: float) -> None:
    """Ascent to better prices, then turns around them, and the engine's plan of the rest."""
    at = time.perf_counter()
    search.offer_prices(ascend(search, search.multipliers, SWEEPS))
    search.seconds["ascent"] += time.perf_counter() - at
    for turn in range(SEARCHES_MOST):
        at = time.perf_counter()
        p_kw = search.p_kw
        if turn == 0:
            p_kw = respond(search.problem, search.multipliers, search.rest.rows, exact=False).p_kw
        p_kw, prices = improve(search, search.multipliers, p_kw)
        search.seconds["turns"] += time.perf_counter() - at
        search.offer_prices(prices)
        search.offer_schedules(p_kw)
        if search.rest.part is not None:
            search.offer_prices(search.prices)
        if search.gap <= gap or search.is_late:
            return


def _finished(search: Search, gap: float, seconds: dict[str, float]) -> Plan:
    problem, powers = search.problem, search.powers
    at = time.perf_counter()
    energy = stored_energy_kwh(problem, powers[0], powers[1])
    plan = Plan(
        problem=problem,
        p_charge_kw=powers[0],
        p_discharge_kw=powers[1],
        energy_kwh=energy,
        generation_kw=powers[2],
        status=Status.FEASIBLE,
        stop_reason=StopReason.TIME_LIMIT if search.is_late else StopReason.GAP_REACHED,
        breaches=find_breaches(problem, *powers, energy),
        multipliers=search.multipliers,
    )
    certificate = certify(plan)
    seconds["certify"] = time.perf_counter() - at
    report = SolverReport(
        name=NAME,
        columns=0,
        rows=0,
        nonzeros=0,
        binaries=0,
        rounds=search.rounds,
        bound=float("nan"),
        seconds=seconds,
    )
    status = Status.OPTIMAL if certificate.gap <= gap else Status.FEASIBLE
    return replace(plan, certificate=certificate, status=status, solver=report)
