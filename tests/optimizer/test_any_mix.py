"""Small fleets with any mix of features: the structured solver brackets what the model brackets.

Three hundred random problems. A feature that the structured solver does not carry sends the whole
problem to the model, which must say so.
"""

from __future__ import annotations

from collections import Counter
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pytest

from optimizer.certificate import certify, check
from optimizer.discrete.features import needs_oracle, not_carried
from optimizer.engine.features import FEATURES
from optimizer.formulation import needs_binary
from optimizer.solve import ENGINE_GAP_POOR, solve
from tests.optimizer.any_mix import any_mix

if TYPE_CHECKING:
    from collections.abc import Callable

    from optimizer.plan import Certificate, Plan
    from optimizer.problem import DispatchProblem

SEEDS = [range(30 * batch, 30 * batch + 30) for batch in range(10)]
INTEGER_GAP, MODEL_S = 1e-3, 120.0
"""Looser and earlier ends of a search widen brackets; they never keep them from meeting."""
make = cache(any_mix)


def certified(plan: Plan) -> Certificate:
    """The plan's certificate, which made once more says the same; no rule is broken.

    A bound of branch and bound cannot be made again: the one from multipliers stands in.
    """
    made = plan.certificate
    assert made is not None
    again = certify(plan)
    assert (again.profit, again.worst_violation) == (made.profit, made.worst_violation)
    if made.bound_source == "multipliers":
        assert again == made
    assert again.profit_bound >= made.profit - rounding(plan.problem, made)
    assert not check(plan)
    assert made.worst_violation <= 1e-6
    return made


def rounding(problem: DispatchProblem, mine: Certificate) -> float:
    """What sums may lose; a breach of 1e-8 kW is paid at the firm price, or not."""
    return 1e-6 * (1 + abs(mine.profit)) + 1e-8 * problem.firm_price_per_kwh


def carried_or_said(problem: DispatchProblem) -> bool:
    """Whether the structured solver carries a problem; where not, `auto` must say why."""
    missing = not_carried(problem)
    if not missing:
        return True
    plan = solve(problem, gap=INTEGER_GAP, time_limit_s=MODEL_S, threads=1)
    assert plan.solver is not None
    assert all(name in plan.solver.why for name in missing)
    own = certified(plan)
    assert own.profit <= own.profit_bound + rounding(problem, own)
    return False


@pytest.mark.parametrize("batch", range(len(SEEDS)))
def test_both_solvers_bracket_one_optimum(batch: int) -> None:
    compared, closed, handed_over = 0, 0, 0
    for seed in SEEDS[batch]:
        problem = make(seed)
        if not carried_or_said(problem):
            continue
        compared += 1
        plan = solve(problem, solver="structured", audit=False, threads=1)
        is_discrete = bool(needs_oracle(problem).any())
        gap = INTEGER_GAP if is_discrete else 1e-6
        truth = solve(problem, solver="monolith", gap=gap, time_limit_s=MODEL_S, threads=1)
        mine, model = certified(plan), certified(truth)
        close = rounding(problem, model)
        assert mine.profit_bound >= model.profit - close, seed
        assert model.profit_bound >= mine.profit - close, seed
        assert truth.solver is not None
        if not truth.solver.binaries:
            closed += 1
            assert mine.gap_absolute <= 1e-4 * max(1.0, abs(model.profit)), seed
            assert mine.profit == pytest.approx(model.profit, rel=1e-4, abs=1e-4), seed
        elif not is_discrete:  # limits reward burning energy: `auto` asks the model
            handed_over += mine.gap > ENGINE_GAP_POOR
    assert compared >= 18
    assert closed >= 10
    assert handed_over <= 4


def test_a_gap_that_stays_open_is_handed_to_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits that reward burning energy, in fleets that are large enough by decree."""
    monkeypatch.setattr("optimizer.solve.BATTERIES_FOR_ENGINE", 1)
    plan = solve(make(LEFT_OPEN), threads=1)
    assert plan.solver is not None
    assert "the structured solver left a gap of" in plan.solver.why
    assert certified(plan).gap <= 1e-4


LEFT_OPEN = 202
"""A seed whose firm limits pay for burning energy."""


def test_every_feature_is_met_in_many_mixes() -> None:
    """And what the structured solver carries is met where it solves."""
    met: Counter[str] = Counter()
    assert set(HOLDS) == {feature.name for feature in FEATURES}
    for problem in map(make, range(300)):
        carried = not not_carried(problem)
        for name, holds in HOLDS.items():
            met[name] += bool(holds(problem)) and (carried or name in ONLY_MODEL)
    assert min(met.values()) >= 10, met


ONLY_MODEL = {feature.name for feature in FEATURES if feature.engine == "—"}
HOLDS: dict[str, Callable[[DispatchProblem], bool]] = {
    "energy balance with losses": lambda p: (p.batteries.standing_loss_per_h > 0).any(),
    "energy band by time": lambda p: np.ptp(p.batteries.energy_kwh_min, axis=1).any(),
    "power limits by time": lambda p: np.ptp(p.batteries.p_charge_kw_max, axis=1).any(),
    "inflow and usage": lambda p: p.batteries.inflow_kw.any(),
    "wear": lambda p: p.batteries.wear_cost_discharge_per_kwh.any(),
    "a band that cannot be kept": lambda p: p.band_yields.any(),
    "target at the end of an interval": lambda p: (p.targets.share == 1).any(),
    "target inside an interval": lambda p: (p.targets.share < 1).any(),
    "value of the energy left": lambda p: (p.batteries.end_value_per_kwh > 0).any(),
    "rising value of the energy left": lambda p: "rising" in " ".join(not_carried(p)),
    "ramp limit": lambda p: np.isfinite(p.batteries.ramp_up_kw_per_h).any(),
    "cycle cap a day": lambda p: np.isfinite(p.batteries.cycles_per_day_max).any(),
    "least power": lambda p: (p.batteries.p_charge_kw_min > 0).any(),
    "equal steps of power": lambda p: (p.batteries.power_levels > 0).any(),
    "prices that reward charging and discharging at once": lambda p: needs_binary(p).any(),
    "curtailable generation": lambda p: len(p.generators) > 0,
    "meter with one price": lambda p: (is_flat(p) & p.groups.is_site).any(),
    "meter with two prices": lambda p: (~is_flat(p) & p.groups.is_site).any(),
    "meter that earns more than it pays": lambda p: "meter" in " ".join(not_carried(p)),
    "firm limit": lambda p: p.limits.is_firm.any(),
    "limit with a price per kWh": lambda p: p.limits.breach_price_per_kwh.any(),
    "limit with a price per kW": lambda p: p.limits.breach_price_per_kw.any(),
    "ramp of a group": lambda p: p.limits.has_ramp.any(),
    "committed position": lambda p: len(p.positions) > 0,
    "staying near the previous plan": lambda p: p.batteries.change_price_per_kwh.any(),
    "reserve": lambda p: len(p.reserves) > 0,
    "network row": lambda p: len(p.network) > 0,
    "groups inside groups": lambda p: (p.groups.parent >= 0).any(),
}


def is_flat(problem: DispatchProblem) -> np.ndarray:
    """Groups with one price in all intervals."""
    groups = problem.groups
    return (groups.price_import_per_kwh == groups.price_export_per_kwh).all(axis=1)
