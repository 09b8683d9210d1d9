"""Plan, power flow, linear rows, plan again: until the AC power flow finds nothing broken.

Written once, above the optimiser (which only takes rows) and the grid (which only makes them). Each
round plans with what the grid allows near the last round's operating point, solves the AC flow of
that plan and, where a limit is broken, takes the grid as linear there. Values that came near a
limit stay watched; what a round's model was too hopeful by widens the margins of the next. A plan
that the flow finds in order is put into whole watts, as devices take them, and goes to the gate,
which lives it through and has the last word.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from dispatch import Check
from gridsim.grid import Nearness, Watch
from gridsim.study.linear import Experience, LinearGrid, first_margin, linearise
from gridsim.study.shaping import (
    Near,
    dispatch_problem,
    first_area_group,
    places,
    row_price_per_kwh,
)
from optimizer.certificate import certify
from optimizer.plan import Status
from optimizer.rounding import in_whole_watts
from optimizer.solve import audit_plan, solve

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

    from dispatch import Gate, Verdict
    from gridsim.grid import Breaches, OperatingPoint
    from gridsim.scenario.built import BuiltScenario
    from gridsim.study.carrier import GridCarrier
    from gridsim.study.ratings import AreaBounds
    from gridsim.study.rows import Places
    from optimizer.plan import Plan

    Floats = npt.NDArray[np.float64]
    Progress = Callable[[str], None]

SOC_MARGIN_STEP = 0.02
"""Share of the band taken off at both edges of a battery whose twin could not follow."""
SOC_MARGIN_MAX = 0.40
STAY_PRICE = 1e-3
"""Price of a kWh by which a plan differs from the last one, over the mean price of energy."""
ERROR_SHRINKS, STAY_GROWS = 0.5, 4.0
"""Where a round's largest error is more than this share of the last round's, that price grows."""
FAR = Nearness(v_pu=0.05, line=0.5, transformer=0.5)
"""What is watched in an interval whose plan has no solution: the model starts from a half of it."""
SIDES_EVERYWHERE_MOST = 500
"""Up to so many sides a limit that a plan came near is watched in every interval: the next plan may
come near it in another one."""
_CHECKS = {
    "bus": Check.VOLTAGE,
    "line": Check.LINE_LOADING,
    "transformer": Check.TRANSFORMER_LOADING,
    "flow": Check.POWER_FLOW,
}


@dataclass(frozen=True)
class Round:
    """One turn of plan and check.

    Attributes:
        findings: how many spoke against the plan, by check: the gate's, or those of the power flow
            alone where that already refused it.
        profit: of that plan, as planned; before the last round less the price of its changes.
        worst: largest excess over a limit of the grid in the AC flow, relative to it; None where an
            interval has no solution.
        rows: limits of areas and rows over batteries that its grid model had, beside the ratings.
        narrowed: batteries whose band was narrowed after it.
        seconds: by phase: build, solve, extract, certify, power_flow, round, replay, judge,
            linearise, total.
    """

    findings: Mapping[str, int]
    profit: float
    worst: float | None
    rows: int
    narrowed: int
    seconds: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class Outcome:
    """The last plan, the gate's verdict on it, and the way there.

    Attributes:
        plan: the last plan, in whole watts.
        verdict: the gate's.
        rounds: every turn.
        rated_bound: no plan within the transformers' ratings, the first round's only limits, earns
            more.
    """

    plan: Plan
    verdict: Verdict
    rounds: tuple[Round, ...]
    rated_bound: float


@dataclass
class _State:
    """What one round leaves to the next."""

    soc_margin: Floats
    linear: LinearGrid | None = None
    experience: Experience = field(default_factory=Experience)
    rounds: list[Round] = field(default_factory=list)
    rated_bound: float = float("nan")
    error: float = float("inf")
    near: Near | None = None


def plan_within_grid(
    built: BuiltScenario,
    gate: Gate,
    carrier: GridCarrier,
    ratings: AreaBounds,
    report: Progress = lambda _: None,
) -> Outcome:
    """A plan that passed the gate, or the last one that did not.

    `gate.rounds_max` of the scenario bounds how often it is planned again.

    Args:
        built: the scenario.
        gate: judges; it holds the fleet and the grid.
        carrier: the grid with the scenario's profiles and batteries.
        ratings: what areas may do at the start.
        report: is told what happens, in words.
    """
    loop = _Loop(built, gate, carrier, ratings, report)
    state = _State(np.full(len(built.fleet), built.scenario.gate.margins.soc))
    while True:
        outcome = loop.turn(state)
        if outcome is not None:
            return outcome


@dataclass(frozen=True, eq=False)
class _Loop:
    """The parts that every round uses."""

    built: BuiltScenario
    gate: Gate
    carrier: GridCarrier
    ratings: AreaBounds
    report: Progress
    watch: Watch = field(init=False)
    places: Places = field(init=False)

    def __post_init__(self) -> None:
        flow = self.carrier.power_flow
        object.__setattr__(self, "watch", Watch(flow.grid, flow.baseline))
        object.__setattr__(self, "places", places(self.built, self.ratings))

    def turn(self, state: _State) -> Outcome | None:
        """One round; None if there is to be another."""
        count, started = len(state.rounds) + 1, time.perf_counter()
        self.report(f"round {count}: plan")
        plan, rows = self._plan(state)
        seconds = _plan_seconds(plan, time.perf_counter() - started)
        clock = time.perf_counter()
        self.report(f"round {count}: power flow")
        point = self.carrier.point(plan.p_kw)
        broken = self.carrier.breaches(point.flow, self.watch.baseline).counting
        seconds["power_flow"] = time.perf_counter() - clock
        is_last = count > self.built.scenario.gate.rounds_max
        verdict = None
        if is_last or not len(broken):
            self.report(f"round {count}: gate")
            if state.near is not None:
                plan = _without_stay(plan)
            clock = time.perf_counter()
            plan = in_whole_watts(plan, gap=self.built.scenario.optimiser.gap_max)
            seconds["round"] = time.perf_counter() - clock
            verdict = self.gate.check(plan)
            for name, spent in verdict.seconds.items():
                seconds[name] = seconds.get(name, 0.0) + spent
        slow = _cannot_follow(verdict, self.built)
        ends = verdict is not None and (is_last or verdict.passed or not _may_mend(verdict))
        if not ends:
            clock = time.perf_counter()
            self._learn(state, plan, point, verdict)
            seconds["linearise"] = time.perf_counter() - clock
            wider = state.soc_margin[slow] + SOC_MARGIN_STEP
            state.soc_margin[slow] = np.minimum(wider, SOC_MARGIN_MAX)
        worst = self.watch.worst(point.flow)
        seconds["total"] = time.perf_counter() - started
        state.rounds.append(
            Round(
                findings=_count(broken) if verdict is None else _counted(verdict),
                profit=plan.certificate.profit if plan.certificate else float("nan"),
                worst=worst if np.isfinite(worst) else None,
                rows=rows,
                narrowed=0 if ends else len(slow),
                seconds=seconds,
            )
        )
        if not ends:
            return None
        assert verdict is not None
        self.report("proof")
        plan = self._proven(plan) if state.near is not None else audit_plan(plan)
        return Outcome(plan, verdict, tuple(state.rounds), state.rated_bound)

    def _proven(self, plan: Plan) -> Plan:
        """The plan with a bound on what any plan within the same rows could earn.

        The price of leaving the last round's plan has blurred the multipliers; without it the
        problem is solved once more, for its prices and its audit alone.
        """
        options = self.built.scenario.optimiser
        clock = time.perf_counter()
        best = solve(plan.problem, gap=options.gap_max, time_limit_s=options.time_limit_s)
        assert best.certificate is not None
        assert plan.solver is not None
        bound = best.certificate.profit_bound
        certificate = certify(replace(plan, multipliers=best.multipliers), known_bound=bound)
        audit = None if best.solver is None else best.solver.audit
        seconds = {**plan.solver.seconds, "prove": time.perf_counter() - clock}
        return replace(
            plan,
            multipliers=best.multipliers,
            certificate=certificate,
            status=Status.OPTIMAL if certificate.gap <= options.gap_max else Status.FEASIBLE,
            solver=replace(plan.solver, audit=audit, seconds=seconds),
        )

    def _plan(self, state: _State) -> tuple[Plan, int]:
        """The best plan for what is known of the grid, and how many rows that is."""
        options, linear = self.built.scenario.optimiser, state.linear
        bounds, network, rows = self.ratings, None, 0
        if linear is not None:
            bounds, network, rows = linear.bounds, linear.network, linear.sides.size
        problem = dispatch_problem(self.built, bounds, state.soc_margin, network, state.near)
        plan = solve(problem, gap=options.gap_max, time_limit_s=options.time_limit_s, audit=False)
        if linear is None and plan.certificate is not None:
            state.rated_bound = plan.certificate.profit_bound
        return plan, rows

    def _learn(
        self, state: _State, plan: Plan, point: OperatingPoint, verdict: Verdict | None
    ) -> None:
        """Watch what came near a limit, take stock of the last model, and make the next."""
        asked = np.asarray(plan.p_kw.to_numpy())
        experience = state.experience
        error_most = float("inf")
        if state.linear is not None:
            sides = state.linear.sides
            values, sign = self.watch.values(point.flow, sides), self.watch.sign(sides)
            error = np.nan_to_num(sign * (values - state.linear.predicted(asked, self.places)))
            room = sign * (self.watch.allowed(sides) - values)
            most = first_margin(self.watch, sides)
            experience = experience.with_error(sides, error, most, room)
            error_most = float((error / most).max(initial=0.0))
        self._keep_near(state, asked, error_most)
        powers, solved = self.carrier.solved_point(plan.p_kw)
        near = self._near(point, solved)
        everywhere = self.watch.at_all_times(near)
        if everywhere.size <= SIDES_EVERYWHERE_MOST:
            near = everywhere
        experience = experience.watching(self.watch, near)
        if verdict is not None:
            experience = self._with_cases(experience, point, verdict)
        state.experience = experience
        state.linear = linearise(
            self.watch, self.carrier.power_flow, solved, powers, experience, self.ratings,
            self.places, first_area_group(self.built), row_price_per_kwh(self.built),
        )  # fmt: skip

    def _keep_near(self, state: _State, p_kw: Floats, error: float) -> None:
        """Of plans that earn the same the next one is to be the nearest to this one: the model is
        good there. Where its error does not shrink, staying near is worth more."""
        prices = self.built.prices["price_import_per_kwh"].to_numpy()
        price = STAY_PRICE * max(float(np.abs(prices).mean()), 1e-3)
        if state.near is not None:
            grows = STAY_GROWS if error > ERROR_SHRINKS * state.error else 1.0
            price = grows * state.near.price_per_kwh
        state.near, state.error = Near(p_kw, price), error

    def _near(self, point: OperatingPoint, solved: OperatingPoint) -> npt.NDArray[np.int64]:
        near = self.watch.near(solved.flow, Nearness())
        dark = ~point.flow["converged"].to_numpy()
        if not dark.any():
            return near
        far = self.watch.near(solved.flow, FAR)
        return np.union1d(near, far[dark[self.watch.watched(far).interval]])

    def _with_cases(
        self, experience: Experience, point: OperatingPoint, verdict: Verdict
    ) -> Experience:
        """The gate tries other powers than those asked for: what breaks there is watched, with how
        much nearer to its limit it lies."""
        for case in verdict.evidence.cases:
            experience = experience.watching(self.watch, self.watch.near(case.flow, Nearness()))
        for case in verdict.evidence.cases:
            values = self.watch.values(case.flow, experience.sides)
            off = values - self.watch.values(point.flow, experience.sides)
            experience = experience.with_case(self.watch.sign(experience.sides) * off)
        return experience


def _without_stay(plan: Plan) -> Plan:
    """The plan as one of the same problem without the price of leaving the last plan: what it earns
    and how far it is from the best are to be told without that."""
    batteries = plan.problem.batteries
    free = np.zeros_like(batteries.change_price_per_kwh)
    problem = replace(plan.problem, batteries=replace(batteries, change_price_per_kwh=free))
    moved = replace(plan, problem=problem, certificate=None)
    return replace(moved, certificate=certify(moved))


def _may_mend(verdict: Verdict) -> bool:
    """Whether planning again can do anything about what the gate has found."""
    mendable = {Check.BATTERY_REPLAY, *_CHECKS.values()}
    return any(finding.check in mendable for finding in verdict.findings)


def _cannot_follow(verdict: Verdict | None, built: BuiltScenario) -> list[int]:
    """Rows of the batteries whose twin stayed behind."""
    if verdict is None:
        return []
    names = {f.element for f in verdict.findings if f.check is Check.BATTERY_REPLAY}
    return [row for row, name in enumerate(built.fleet.battery_id) if str(name) in names]


def _count(broken: Breaches) -> dict[str, int]:
    counts = {_CHECKS[kind].value: int((broken.kind == kind).sum()) for kind in _CHECKS}
    return {check: count for check, count in counts.items() if count}


def _counted(verdict: Verdict) -> dict[str, int]:
    counts: dict[str, int] = {}
    for finding in verdict.findings:
        counts[finding.check.value] = counts.get(finding.check.value, 0) + 1
    return counts


def _plan_seconds(plan: Plan, total: float) -> dict[str, float]:
    """Phases of planning; what the solver does not account for is building the problem."""
    seconds = dict(plan.solver.seconds) if plan.solver else {}
    seconds["build"] = seconds.get("build", 0.0) + max(total - sum(seconds.values()), 0.0)
    return seconds
