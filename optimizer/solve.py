"""Solve a dispatch problem: which solver takes it, and why.

The Pyomo model with HiGHS is the truth for a problem of any size; the structured interior-point
engine gives the same answer for large fleets of continuous batteries.
"""

from __future__ import annotations

import contextlib
import math
import numbers
import time
from dataclasses import replace
from functools import partial
from typing import Literal, get_args

from optimizer.audit import MODEL_GAP, MODEL_S, audited
from optimizer.clash import find_clash
from optimizer.discrete.features import needs_oracle, not_carried
from optimizer.discrete.solve import solve_discrete
from optimizer.engine.engine import NAME, solve_structured
from optimizer.errors import InfeasibleError, SolveError, TooLargeError, UnsupportedFeatureError
from optimizer.monolith import solve_monolith
from optimizer.plan import Plan, Status, StopReason
from optimizer.problem import DispatchProblem
from optimizer.rounding import Resolution, in_whole_watts
from twins.faults import FaultList, did_you_mean

__all__ = [
    "InfeasibleError", "SolveError", "Solver", "TooLargeError", "UnsupportedFeatureError",
    "audit_plan", "solve",
]  # fmt: skip

Solver = Literal["auto", "monolith", "structured"]

BATTERIES_FOR_ENGINE = 500
"""From this many batteries on "auto" takes the structured solver where it can."""
ENGINE_GAP_LEAST, ENGINE_GAP_MOST = 1e-7, 1e-6
"""What the engine is asked for, whatever the caller wants: a looser answer saves two iterations and
leaves the prices of firm limits, and with them the bound, far off."""
DISCRETE_MODEL_S = 5.0
"""Seconds for the audit's model where it has binaries in every interval."""
SEARCH_GAP_LEAST = 1e-4
"""Where discrete batteries are searched, the search ends at this gap at the latest: what is left
costs more time than it is worth."""
ENGINE_GAP_POOR = 1e-3
"""A gap beyond which "auto" asks the monolith after all; not with discrete batteries, of which it
could not do so many."""


def solve(
    problem: DispatchProblem,
    *,
    strict: bool = False,
    gap: float = 1e-6,
    time_limit_s: float | None = None,
    threads: int | None = None,
    solver: Solver = "auto",
    audit: bool = True,
    resolution_w: Resolution = None,
) -> Plan:
    """The cheapest plan of a problem, with its certificate.

    Every problem has a plan: what cannot be kept is broken in the order of its price, and reported.

    Args:
        problem: what is asked.
        strict: refuse a plan that breaks something firm, and name a smallest set of rules that
            cannot be kept together (`optimizer.clash`).
        gap: relative to the profit, as in `Certificate.gap`; only matters with integers.
        time_limit_s: for all solver rounds together.
        threads: for the solver; all that the machine has if None.
        solver: "monolith" is the Pyomo model with HiGHS, "structured" the interior-point engine of
            `optimizer.engine`, with oracles for discrete batteries (`optimizer.discrete`); "auto"
            takes it for large problems that it carries, and says why in `SolverReport.why`.
        audit: solve a drawn area of a structured solver's plan as the Pyomo model too, and compare
            (`optimizer.audit`); a plan that does not agree is warned of and only `FEASIBLE`.
        resolution_w: 1 for powers in whole watts (`optimizer.rounding`), None for powers as found.

    Raises:
        InvalidInputError: an argument is none of what is allowed; every one is named.
        UnsupportedFeatureError: "structured", and the problem holds what it does not carry.
        InfeasibleError: `strict`, and something firm is broken in every plan.
        TooLargeError: the solve would take more memory than there is.
        SolveError: the solver failed, or found no plan within the time limit.
    """
    _check_request(problem, gap, time_limit_s, threads, solver, resolution_w)
    started = time.perf_counter()

    def by_monolith(why: str) -> Plan:
        left = _time_left_s(time_limit_s, started)
        return _with_why(solve_monolith(problem, gap=gap, time_limit_s=left, threads=threads), why)

    why = _why_structured(problem, solver)
    if why is None:
        plan = by_monolith(_why_monolith(problem, solver))
    else:
        is_discrete = bool(needs_oracle(problem).any())
        if is_discrete:
            search_gap = max(gap, SEARCH_GAP_LEAST)
            plan = solve_discrete(
                problem, gap=search_gap, time_limit_s=time_limit_s, threads=threads
            )
        else:
            engine_gap = min(max(gap, ENGINE_GAP_LEAST), ENGINE_GAP_MOST)
            plan = solve_structured(
                problem, gap=engine_gap, time_limit_s=time_limit_s, threads=threads
            )
        plan = replace(_with_why(plan, why), status=_status(plan, gap))
        if solver == "auto" and not is_discrete and _is_poor(plan):
            assert plan.certificate is not None
            poor = f"the structured solver left a gap of {plan.certificate.gap:.2%}"
            with contextlib.suppress(TooLargeError):  # then the plan that is there has to do
                plan = by_monolith(poor)
        elif audit and plan.stop_reason is not StopReason.INTERRUPTED:
            try:
                plan = audit_plan(plan, threads=threads)
            except KeyboardInterrupt:  # the plan is there; only its audit is not
                plan = replace(plan, stop_reason=StopReason.INTERRUPTED)
    firm = [breach for breach in plan.breaches if breach.is_firm]
    if strict and firm:
        raise InfeasibleError(problem.name, firm, find_clash(problem, firm))
    return plan if resolution_w is None else in_whole_watts(plan, gap=gap, threads=threads)


def audit_plan(plan: Plan, *, threads: int | None = None) -> Plan:
    """The plan with what its audit found; as it is where the Pyomo model has made it.

    For whoever solves many problems with ``audit=False`` on the way to one plan.
    """
    if plan.solver is None or not plan.solver.name.startswith(NAME):
        return plan
    most_s = DISCRETE_MODEL_S if needs_oracle(plan.problem).any() else MODEL_S
    model = partial(solve_monolith, gap=MODEL_GAP, time_limit_s=most_s, threads=threads)
    try:
        return audited(plan, model)
    except SolveError as error:
        # With binaries everywhere the model may find nothing in its time.
        return _with_why(plan, f"{plan.solver.why}; not audited: {error}")


def _time_left_s(time_limit_s: float | None, started: float) -> float | None:
    """Seconds until the limit, None without one."""
    if time_limit_s is None:
        return None
    return max(time_limit_s - (time.perf_counter() - started), 0.0)


def _check_request(
    problem: object,
    gap: object,
    time_limit_s: object,
    threads: object,
    solver: object,
    resolution_w: object,
) -> None:
    """Name every argument of `solve` that makes no sense."""
    faults = FaultList("solve")
    if not isinstance(problem, DispatchProblem):
        allowed = "must be a DispatchProblem; gridsim.read_problem reads one from a file"
        faults.add("problem", type(problem).__name__, allowed)
    if not _number(gap) >= 0.0:
        faults.add("gap", gap, "must be a finite number of at least 0")
    if time_limit_s is not None and not _number(time_limit_s) > 0.0:
        faults.add("time_limit_s", time_limit_s, "must be a finite number above 0, or None")
    if threads is not None and not (_number(threads) >= 1 and _number(threads).is_integer()):
        faults.add("threads", threads, "must be a whole number of at least 1, or None")
    if solver not in get_args(Solver):
        hint = did_you_mean(str(solver), get_args(Solver))
        faults.add("solver", solver, "must be one of " + ", ".join(get_args(Solver)) + hint)
    if resolution_w not in (None, 1):
        faults.add("resolution_w", resolution_w, "must be 1 or None")
    faults.raise_if_any()


def _number(value: object) -> float:
    """The number that a value is; nan if it is none, or not finite."""
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        return math.nan
    return float(value) if math.isfinite(value) else math.nan


def _status(plan: Plan, gap: float) -> Status:
    """What the engine's plan is worth to a caller who asked for `gap`."""
    assert plan.certificate is not None
    return Status.OPTIMAL if plan.certificate.gap <= gap else Status.FEASIBLE


def _is_poor(plan: Plan) -> bool:
    """Whether the monolith is worth its time: the engine had time enough and could not close."""
    assert plan.certificate is not None
    stopped = plan.stop_reason is not StopReason.GAP_REACHED
    return not stopped and plan.certificate.gap > ENGINE_GAP_POOR


def _why_structured(problem: DispatchProblem, solver: Solver) -> str | None:
    """Why the structured solver is taken, None where it is not.

    Raises:
        UnsupportedFeatureError: it was asked for and does not carry the problem.
    """
    if solver == "monolith":
        return None
    missing = not_carried(problem)
    if solver == "structured":
        if missing:
            raise UnsupportedFeatureError(problem.name, missing)
        return "asked for"
    batteries = len(problem.batteries)
    if missing or batteries < BATTERIES_FOR_ENGINE:
        return None
    return f"{batteries} batteries, all of whose features the structured solver carries"


def _why_monolith(problem: DispatchProblem, solver: Solver) -> str:
    if solver == "monolith":
        return "asked for"
    missing = not_carried(problem)
    if missing:
        return "the structured solver does not carry " + ", ".join(missing)
    return f"fewer than {BATTERIES_FOR_ENGINE} batteries"


def _with_why(plan: Plan, why: str) -> Plan:
    assert plan.solver is not None
    return replace(plan, solver=replace(plan.solver, why=why))
