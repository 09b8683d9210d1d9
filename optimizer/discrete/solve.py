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
    import numpy.typing as npt

    from optimizer.problem import DispatchProblem

    Floats = npt.NDArray[np.float64]

NAME = "structured interior point, exact oracles"
ROUNDS_MOST = 8
CROWDED_GAP = 2e-3
"""A gap beyond which discrete batteries are too many for the rest to absorb: they take turns."""
SWEEPS, SEARCHES_MOST = 60, 2
_ENGINE_GAP = 1e-6
_CLOSE = 1e-12


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
    if search.rest.part is None:
        search.offer_schedules(_at_rest(search))
    else:
        run_rounds(search, gap, ROUNDS_MOST)
    if search.gap > max(gap, CROWDED_GAP) and not search.is_late:
        _search_crowds(search, gap)
    return _finished(search, gap, seconds | search.seconds)


def _search_crowds(search: Search, gap: float) -> None:
    """Ascent to better prices, then turns around them, and the engine's plan of the rest."""
    at = time.perf_counter()
    search.offer_prices(ascend(search, search.multipliers, SWEEPS))
    search.seconds["ascent"] += time.perf_counter() - at
    for _ in range(SEARCHES_MOST):
        at = time.perf_counter()
        if search.profit < 0.0:
            search.offer_schedules(_at_rest(search))
        p_kw, prices = improve(search, search.multipliers, search.p_kw)
        search.seconds["turns"] += time.perf_counter() - at
        search.offer_prices(prices)
        search.offer_schedules(p_kw)
        if search.rest.part is None or search.gap <= gap or search.is_late:
            return
        search.offer_prices(search.prices)


def _at_rest(search: Search) -> Floats:
    """No power, but for batteries that must move to stay in their bands: their best answer."""
    problem, rows = search.problem, search.rest.rows
    none = np.zeros(problem.shape)
    energy, b = stored_energy_kwh(problem, none, none)[rows, 1:], problem.batteries
    close = _CLOSE * np.maximum(b.energy_kwh_max[rows, 1:], 1.0)
    out = energy < b.energy_kwh_min[rows, 1:] - close
    out |= energy > b.energy_kwh_max[rows, 1:] + close
    moves = out.any(axis=1)
    p_kw = np.zeros((len(rows), len(problem.grid)))
    if moves.any():
        p_kw[moves] = respond(problem, search.prices, rows[moves]).p_kw
    return p_kw


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
        stop_reason=StopReason.TIME_LIMIT if search.is_late else StopReason.SEARCHED,
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
    plan = replace(plan, certificate=certificate, solver=report)
    if certificate.gap > gap:
        return plan
    return replace(plan, status=Status.OPTIMAL, stop_reason=StopReason.GAP_REACHED)
