"""Plan, check, cut, plan again: a plan that the grid refuses goes back with what it must not do.

Written once, above the optimiser (which only takes rows) and the grid (which only makes them).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dispatch import Check
from gridsim.grid import secant_cuts
from gridsim.study.shaping import dispatch_problem
from optimizer.solve import solve

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

    from dispatch import Gate, Verdict
    from gridsim.grid import Cut
    from gridsim.scenario.built import BuiltScenario
    from gridsim.study.bounds import AreaBounds
    from gridsim.study.carrier import GridCarrier
    from optimizer.plan import Plan

    Floats = npt.NDArray[np.float64]
    Progress = Callable[[str], None]

SOC_MARGIN_STEP = 0.02
"""Share of the band taken off at both edges of a battery whose twin could not follow."""
SOC_MARGIN_MAX = 0.40
CUT_MARGIN = 0.01
"""Share of a cut's bound held back in the first round; doubled in each, for an early end."""
CUT_MARGIN_MAX = 0.16
ROUNDS_UNTIL_HELD = 2
"""Rounds after which the plan around a cut is held too, a step further up the tree each time."""


@dataclass(frozen=True)
class Round:
    """One turn of plan and check.

    Attributes:
        findings: how many spoke against the plan, by check.
        profit: of that plan, as planned.
        cuts: bounds on areas that followed from it.
        narrowed: batteries whose band was narrowed.
        seconds: of planning and checking.
    """

    findings: Mapping[str, int]
    profit: float
    cuts: int
    narrowed: int
    seconds: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class Outcome:
    """The last plan, the gate's verdict on it, and the way there."""

    plan: Plan
    verdict: Verdict
    rounds: tuple[Round, ...]


def plan_and_repair(
    built: BuiltScenario,
    gate: Gate,
    carrier: GridCarrier,
    bounds: AreaBounds,
    report: Progress = lambda _: None,
) -> Outcome:
    """A plan that passed the gate, or the last one that did not.

    After each refusal the areas behind the broken limits get tighter bounds and the batteries that
    could not follow get a narrower band; `gate.rounds_max` of the scenario bounds the repairs.

    Args:
        built: the scenario.
        gate: judges; it holds the fleet and the grid.
        carrier: the grid with the scenario's profiles and batteries.
        bounds: what areas may do at the start.
        report: is told what happens, in words.
    """
    options = built.scenario.optimiser
    margin = np.full(len(built.fleet), built.scenario.gate.margins.soc)
    rounds: list[Round] = []
    while True:
        started = time.perf_counter()
        report(f"round {len(rounds) + 1}: plan")
        problem = dispatch_problem(built, bounds, margin)
        plan = solve(problem, gap=options.gap_max, time_limit_s=options.time_limit_s)
        report(f"round {len(rounds) + 1}: check")
        verdict = gate.check(plan)
        is_last = verdict.passed or len(rounds) >= built.scenario.gate.rounds_max
        margin_of_cut = min(CUT_MARGIN * 2 ** len(rounds), CUT_MARGIN_MAX)
        cuts = [] if is_last else _cuts(verdict, carrier, bounds, margin_of_cut)
        cut_count = sum(len(of_case) for _, of_case in cuts)
        slow = [] if is_last else _cannot_follow(verdict, built)
        rounds.append(
            Round(
                findings=_count(verdict),
                profit=plan.certificate.profit if plan.certificate else float("nan"),
                cuts=cut_count,
                narrowed=len(slow),
                seconds={**_phases(plan, verdict), "total": time.perf_counter() - started},
            )
        )
        if is_last or not (cut_count or slow):
            return Outcome(plan, verdict, tuple(rounds))
        is_held = len(rounds) >= ROUNDS_UNTIL_HELD
        for p_kw, of_case in cuts:
            bounds = bounds.tightened(of_case)
            if is_held:
                bounds = bounds.held(of_case, p_kw, levels=len(rounds) - ROUNDS_UNTIL_HELD)
        margin[slow] = np.minimum(margin[slow] + SOC_MARGIN_STEP, SOC_MARGIN_MAX)


def _cuts(
    verdict: Verdict, carrier: GridCarrier, bounds: AreaBounds, margin: float
) -> list[tuple[Floats, list[Cut]]]:
    """For each flow that was judged: net power of each area's batteries (A, T), and its cuts."""
    grid, places = carrier.power_flow.grid, carrier.power_flow.storage_bus
    baseline = verdict.evidence.baseline
    found = []
    for case in verdict.evidence.cases:
        p_kw = case.p_kw.transpose("battery", "time")
        breaches = carrier.breaches(case.flow, baseline)
        cuts = secant_cuts(
            grid, bounds.tree, case.flow, baseline, p_kw, places, breaches, margin=margin
        )
        found.append((bounds.tree.sums(places, p_kw.to_numpy()), cuts))
    return found


def _cannot_follow(verdict: Verdict, built: BuiltScenario) -> list[int]:
    """Rows of the batteries whose twin stayed behind."""
    names = {f.element for f in verdict.findings if f.check is Check.BATTERY_REPLAY}
    return [row for row, name in enumerate(built.fleet.battery_id) if str(name) in names]


def _count(verdict: Verdict) -> dict[str, int]:
    counts: dict[str, int] = {}
    for finding in verdict.findings:
        counts[finding.check.value] = counts.get(finding.check.value, 0) + 1
    return counts


def _phases(plan: Plan, verdict: Verdict) -> dict[str, float]:
    solver = dict(plan.solver.seconds) if plan.solver else {}
    return {**solver, **verdict.seconds}
