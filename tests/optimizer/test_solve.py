"""The solve from end to end: rules kept, the proof closed, and the laws a cost must obey."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer.certificate import cost_of
from optimizer.errors import InfeasibleError, SolveError
from optimizer.plan import Plan, Status, StopReason
from optimizer.solve import solve
from tests.optimizer.certificate_lp import solve_continuous
from tests.optimizer.certificate_problems import random_problem
from tests.optimizer.problems import make_problem

if TYPE_CHECKING:
    from optimizer.problem import DispatchProblem

SEEDS = st.integers(0, 2**32 - 1)
ROUNDING = 1e-6


def cost(plan: Plan) -> float:
    """Cost as the certificate has it, from the arrays."""
    assert plan.certificate is not None
    return plan.certificate.cost


def close(value: float, expected: float, problem: DispatchProblem) -> bool:
    """Equal to rounding, against prices that may hold firm breaches."""
    return abs(value - expected) <= 1e-7 * (1 + abs(expected)) + 1e-8 * problem.firm_price_per_kwh


def assert_keeps_its_rules(plan: Plan) -> None:
    """Balance, power, steps, exclusion and cycles, worked out here one battery at a time."""
    p, b = plan.problem, plan.problem.batteries
    days = p.grid.starts.astype("datetime64[D]")
    for i in range(len(b)):
        charge, discharge, energy = plan.p_charge_kw[i], plan.p_discharge_kw[i], plan.energy_kwh[i]
        assert (charge * discharge == 0).all()
        gained, drained = charge * b.efficiency_charge[i], discharge / b.efficiency_discharge[i]
        kept = energy[:-1] * (1 - b.standing_loss_per_h[i]) ** p.grid.step_h
        after = kept + (gained - drained + b.inflow_kw[i]) * p.grid.step_h
        assert energy[0] == b.energy_kwh_initial[i]
        assert energy[1:] == pytest.approx(after, abs=1e-9)
        for power, most, least in (
            (charge, b.p_charge_kw_max[i], b.p_charge_kw_min[i]),
            (discharge, b.p_discharge_kw_max[i], b.p_discharge_kw_min[i]),
        ):
            assert (power >= 0).all()
            assert (power <= most).all()
            assert ((power == 0) | (power >= least)).all()
            if levels := b.power_levels[i]:
                steps = power * levels / np.where(most > 0, most, 1.0)
                assert steps == pytest.approx(np.round(steps), abs=1e-9)
        for day in np.unique(days):
            moved = ((gained + drained) * p.grid.step_h)[days == day].sum()
            assert moved <= 2 * b.energy_kwh_max[i].max() * b.cycles_per_day_max[i] + ROUNDING
    assert (plan.generation_kw >= p.generators.p_kw_min).all()
    assert (plan.generation_kw <= p.generators.p_kw_available).all()


def with_batteries(problem: DispatchProblem, **columns: Any) -> DispatchProblem:
    """The problem with columns of its batteries replaced."""
    return replace(problem, batteries=replace(problem.batteries, **columns))


@given(SEEDS, st.booleans(), st.booleans(), st.sampled_from([0.8, 1.0, 1.3]))
@settings(max_examples=40, deadline=None)
def test_every_problem_has_a_plan_that_keeps_its_rules(
    seed: int, discrete: bool, odd_prices: bool, better: float
) -> None:
    """Whatever is asked, also with efficiencies above 1: reported breaches are the only ones."""
    problem = random_problem(seed, discrete=discrete, odd_prices=odd_prices)
    efficiency = problem.batteries.efficiency_charge * better
    plan = solve(with_batteries(problem, efficiency_charge=efficiency))
    assert_keeps_its_rules(plan)
    assert plan.status is Status.OPTIMAL
    assert plan.certificate is not None
    assert plan.certificate.worst_violation <= ROUNDING
    assert plan.solver is not None
    assert plan.certificate.gap <= 1e-6 or close(cost(plan), plan.solver.bound, problem)


@given(SEEDS)
@settings(max_examples=40, deadline=None)
def test_the_cost_is_that_of_another_linear_programme(seed: int) -> None:
    """Arrays by hand and another solver. It knows no exclusion: else its cost is a bound."""
    problem = random_problem(seed)
    plan, other = solve(problem), solve_continuous(problem)
    if np.minimum(other.p_charge_kw, other.p_discharge_kw).max() < 1e-9:
        assert close(cost(plan), other.cost, problem)
    assert cost(plan) >= other.cost - 1e-7 - 1e-8 * problem.firm_price_per_kwh


@given(SEEDS)
@settings(max_examples=25, deadline=None)
def test_strict_refuses_if_and_only_if_something_firm_is_broken(seed: int) -> None:
    problem = random_problem(seed)
    firm = [breach for breach in solve(problem).breaches if breach.is_firm]
    if not firm:
        assert cost(solve(problem, strict=True)) == cost(solve(problem))
        return
    with pytest.raises(InfeasibleError) as refused:
        solve(problem, strict=True)
    assert list(refused.value.breaches) == firm
    for breach in firm[:20]:
        assert str(breach) in str(refused.value)


@given(SEEDS, st.sampled_from([0.1, 3.0, 40.0]))
@settings(max_examples=12, deadline=None)
def test_cost_scales_with_prices(seed: int, factor: float) -> None:
    problem = random_problem(seed, odd_prices=True)
    b, g, m = problem.batteries, problem.groups, problem.generators
    scaled = replace(
        problem,
        price_import_per_kwh=factor * problem.price_import_per_kwh,
        price_export_per_kwh=factor * problem.price_export_per_kwh,
        batteries=replace(
            b,
            wear_cost_charge_per_kwh=factor * b.wear_cost_charge_per_kwh,
            wear_cost_discharge_per_kwh=factor * b.wear_cost_discharge_per_kwh,
            end_value_per_kwh=factor * b.end_value_per_kwh,
            change_price_per_kwh=factor * b.change_price_per_kwh,
        ),
        groups=replace(
            g,
            price_import_per_kwh=factor * g.price_import_per_kwh,
            price_export_per_kwh=factor * g.price_export_per_kwh,
        ),
        generators=replace(m, cost_per_kwh=factor * m.cost_per_kwh),
        limits=replace(
            problem.limits,
            breach_price_per_kwh=factor * problem.limits.breach_price_per_kwh,
            breach_price_per_kw=factor * problem.limits.breach_price_per_kw,
        ),
        targets=replace(
            problem.targets,
            breach_price_per_kwh=factor * problem.targets.breach_price_per_kwh,
        ),
        positions=replace(
            problem.positions,
            price_above_per_kwh=factor * problem.positions.price_above_per_kwh,
            price_below_per_kwh=factor * problem.positions.price_below_per_kwh,
        ),
        reserves=replace(
            problem.reserves,
            breach_price_per_kwh=factor * problem.reserves.breach_price_per_kwh,
        ),
        network=replace(
            problem.network,
            breach_price_per_kwh=factor * problem.network.breach_price_per_kwh,
        ),
    )
    # The firm price has a floor in money, so only the priced part scales exactly.
    if scaled.firm_price_per_kwh == pytest.approx(factor * problem.firm_price_per_kwh):
        assert close(cost(solve(scaled)) / factor, cost(solve(problem)), problem)


def arbitrage(count: int, step_h: float) -> DispatchProblem:
    """Two batteries behind a limit, the same data whatever the length of an interval."""
    repeat = count // 4

    def spread(values: list[float]) -> list[float]:
        return np.repeat(values, repeat).tolist()

    lossy = {"efficiency_charge": 0.9, "efficiency_discharge": 0.95, "group": "home"}
    return make_problem(
        count,
        step_h,
        batteries=[{**lossy, "inflow_kw": spread([0, 0.2, 0, -0.1])}, {"p_charge_kw_max": 3.0}],
        groups=[
            {
                "group_id": "home",
                "is_site": True,
                "load_kw": spread([1, 2, 3, 1]),
                "price_import_per_kwh": spread([0.1, 0.3, 0.2, 0.5]),
                "price_export_per_kwh": spread([0.05, 0.2, 0.1, 0.5]),
            }
        ],
        limits=[{"p_kw_max": 6.0, "p_kw_min": spread([-4, -3, -4, -3])}],
        price_import=spread([0.1, 0.3, -0.1, 0.4]),
    )


def test_splitting_intervals_in_halves_leaves_the_cost() -> None:
    whole, halves = arbitrage(4, 1.0), arbitrage(8, 0.5)
    assert cost(solve(halves)) == pytest.approx(cost(solve(whole)), abs=1e-9)


def every_schedule(problem: DispatchProblem, choices: list[float]) -> list[float]:
    """Costs of all schedules of one battery that keep its band; `choices` are powers p."""
    b, found = problem.batteries, []
    for p_kw in itertools.product(choices, repeat=len(problem.grid)):
        charge, discharge = np.maximum(p_kw, 0.0), np.maximum(np.negative(p_kw), 0.0)
        if (charge > b.p_charge_kw_max[0]).any() or (discharge > b.p_discharge_kw_max[0]).any():
            continue
        energy, kept = b.energy_kwh_initial[0], True
        for t, hours in enumerate(problem.grid.step_h):
            gained = charge[t] * b.efficiency_charge[0, t]
            energy = energy * problem.energy_after_loss[0, t]
            energy += (gained - discharge[t] / b.efficiency_discharge[0, t]) * hours
            low, high = b.energy_kwh_min[0, t + 1], b.energy_kwh_max[0, t + 1]
            kept &= bool(low - 1e-9 <= energy <= high + 1e-9)
        if kept:
            found.append(cost_of(problem, charge[None], discharge[None], np.zeros((0, 4))).total)
    return found


@given(SEEDS, st.integers(1, 2), st.sampled_from([0.7, 0.95, 1.2]))
@settings(max_examples=25, deadline=None)
def test_steps_are_as_good_as_trying_them_all(seed: int, levels: int, efficiency: float) -> None:
    rng = np.random.default_rng(seed)
    problem = make_problem(
        batteries=[
            {
                "power_levels": levels,
                "p_charge_kw_max": 4.0,
                "p_discharge_kw_max": 4.0,
                "efficiency_charge": efficiency,
                "efficiency_discharge": 0.9,
                "standing_loss_per_h": 0.02,
                "energy_kwh_initial": rng.uniform(2, 8),
                "end_value_per_kwh": rng.uniform(0, 0.3),
            }
        ],
        limits=[{"p_kw_max": 3.0, "breach_price_per_kw": 0.1}],
        price_import=rng.uniform(-0.4, 0.4, 4),
    )
    step = 4.0 / levels
    choices = [step * k for k in range(-levels, levels + 1)]
    assert cost(solve(problem)) == pytest.approx(min(every_schedule(problem, choices)), abs=1e-8)


def test_a_least_power_is_kept_or_nothing_runs() -> None:
    """2 kWh of room and a least power of 3 kW: room must be made in the other hour."""
    battery = {"energy_kwh_initial": 8.0, "p_charge_kw_min": 3.0, "p_discharge_kw_min": 1.0}
    plan = solve(make_problem(2, batteries=[battery], price_import=[-1.0, -1.0]))
    assert_keeps_its_rules(plan)
    assert cost(plan) == pytest.approx(-2.0)
    assert plan.p_discharge_kw[0, 0] >= 1.0
    assert plan.p_charge_kw[0, 1] >= 3.0


def burning(**changes: Any) -> DispatchProblem:
    """A negative price pays for burning energy in a lossy battery, were both directions allowed."""
    lossy = {"efficiency_charge": 0.8, "efficiency_discharge": 0.8, "energy_kwh_max": 6.0}
    return make_problem(3, batteries=[{**lossy, **changes}], price_import=[-0.3, -0.3, 0.1])


def test_negative_prices_do_not_burn_energy() -> None:
    problem = burning()
    plan = solve(problem)
    assert_keeps_its_rules(plan)
    assert plan.solver is not None
    assert plan.solver.binaries > 0
    assert solve_continuous(problem).cost < cost(plan) - 0.1


def test_binaries_come_where_a_limit_makes_burning_pay() -> None:
    """Market prices are all positive; only the export limit rewards burning, found by looking."""
    site = {"group_id": "home", "is_site": True, "generation_kw": 8.0}
    prices = {"price_import_per_kwh": 0.2, "price_export_per_kwh": 0.1}
    battery = {"efficiency_charge": 0.8, "efficiency_discharge": 0.8, "group": "home"}
    problem = make_problem(
        batteries=[battery],
        groups=[{**site, **prices}],
        limits=[{"group": "home", "p_kw_min": -5.0, "breach_price_per_kwh": 3.0}],
        price_import=0.2,
    )
    plan = solve(problem)
    assert_keeps_its_rules(plan)
    assert plan.solver is not None
    assert plan.solver.rounds > 1
    assert solve_continuous(problem).cost < cost(plan) - 0.1


def test_an_export_price_above_the_import_price_is_no_money_machine() -> None:
    """At a site's meter and at a battery's own terminals."""
    prices = {"price_import_per_kwh": 0.1, "price_export_per_kwh": 0.3}
    site = make_problem(
        batteries=[{"group": "home", "p_charge_kw_max": 0.0, "energy_kwh_initial": 2.0}],
        groups=[{"group_id": "home", "is_site": True, "load_kw": 1.0, **prices}],
    )
    # 2 kWh at once: one hour's load is served and 1 kWh sold, three hours are bought.
    assert cost(solve(site)) == pytest.approx(3 * 0.1 - 1 * 0.3)
    loose = make_problem(2, price_import=0.1, price_export=0.3, batteries=[{"energy_kwh_max": 5}])
    plan = solve(loose)
    assert_keeps_its_rules(plan)
    assert cost(plan) == pytest.approx(-5 * 0.3)


@pytest.mark.parametrize(
    ("per_kw", "per_kwh", "expected"), [(0.0, 1.0, 5.0), (1.0, 0.0, 3.0), (1.0, 1.0, 8.0)]
)
def test_a_breach_is_priced_by_energy_by_power_and_by_both(
    per_kw: float, per_kwh: float, expected: float
) -> None:
    """2 kWh against 2 kW and 5 kW above the limit: 5 kWh stay, 3 kW at least."""
    problem = make_problem(
        batteries=[{"energy_kwh_initial": 2.0, "p_charge_kw_max": 0.0}],
        groups=[{"load_kw": [0, 3, 6, 0]}],
        limits=[{"p_kw_max": 1.0, "breach_price_per_kw": per_kw, "breach_price_per_kwh": per_kwh}],
        price_import=0.0,
    )
    plan = solve(problem)
    assert cost(plan) == pytest.approx(expected)
    assert sum(breach.size for breach in plan.breaches) == pytest.approx(5.0)
    assert not any(breach.is_firm for breach in plan.breaches)


def test_a_start_outside_the_band_is_mended_and_reported() -> None:
    battery = {"energy_kwh_initial": 1.0, "energy_kwh_min": 4.0, "p_charge_kw_max": 1.0}
    plan = solve(make_problem(batteries=[battery], price_import=[0.5, 0.5, 0.5, 0.1]))
    assert plan.energy_kwh[0].tolist() == pytest.approx([1, 2, 3, 4, 4])
    assert [(found.kind, found.at, found.side) for found in plan.breaches] == [
        ("band", "2023-01-16T01:00:00Z", "below"),
        ("band", "2023-01-16T02:00:00Z", "below"),
    ]
    assert [found.size for found in plan.breaches] == pytest.approx([2.0, 1.0])
    with pytest.raises(InfeasibleError, match="band of b0 at 2023-01-16T01:00:00Z: 2 kWh below"):
        solve(plan.problem, strict=True)


def test_an_unreachable_target_inside_an_interval_is_missed_by_as_little_as_can_be() -> None:
    problem = make_problem(
        batteries=[{"efficiency_charge": 0.9}],
        targets=[{"at_h": 1.5, "energy_kwh_min": 20.0, "breach_price_per_kwh": 2.0}],
    )
    plan = solve(problem)
    reached = 5 + 0.9 * 5 * 1.5  # beyond the band's 10 kWh: it is full after one hour and a bit
    assert reached > 10
    (missed,) = plan.breaches
    assert (missed.kind, missed.at, missed.is_firm) == ("target", "2023-01-16T01:30:00Z", False)
    # The line between 9.5 kWh after one hour and 10 kWh after two is 9.75 kWh half-way.
    assert missed.size == pytest.approx(20 - 9.75)


def on_off_fleet() -> DispatchProblem:
    """Twelve on/off batteries that share a limit: a hard search for so small a problem."""
    rng = np.random.default_rng(7)
    fleet = [
        {
            "power_levels": 1,
            "p_charge_kw_max": rng.uniform(3, 6),
            "p_discharge_kw_max": rng.uniform(3, 6),
            "efficiency_charge": 0.93,
            "efficiency_discharge": 0.95,
            "energy_kwh_max": rng.uniform(8, 14),
        }
        for _ in range(12)
    ]
    limit = {"p_kw_max": 11.0, "p_kw_min": -13.0}
    return make_problem(24, 0.5, fleet, limits=[limit], price_import=rng.uniform(0, 0.4, 24))


def test_a_plan_that_is_not_proven_says_so() -> None:
    plan = solve(on_off_fleet(), gap=1e-9, time_limit_s=2.0)
    assert_keeps_its_rules(plan)
    assert plan.certificate is not None
    assert plan.certificate.worst_violation <= ROUNDING
    assert (plan.stop_reason is StopReason.TIME_LIMIT) == (plan.status is Status.FEASIBLE)
    if plan.status is Status.FEASIBLE:
        assert plan.certificate.gap > 1e-9


def test_the_gap_that_was_asked_for_is_the_one_of_the_certificate() -> None:
    """Behind a large fixed load the solver's own relative gap would be far too loose."""
    fleet = on_off_fleet()
    site = {"group_id": "home", "is_site": True, "load_kw": 1e4}
    prices = {"price_import_per_kwh": fleet.price_import_per_kwh}
    prices["price_export_per_kwh"] = fleet.price_import_per_kwh - 0.01
    rows = [{"group": "home", "power_levels": 1, "efficiency_charge": 0.9} for _ in range(3)]
    problem = make_problem(24, 0.5, rows, [{**site, **prices}], price_import=0.0)
    plan = solve(problem, gap=1e-3)
    assert plan.certificate is not None
    assert plan.status is Status.OPTIMAL
    assert plan.certificate.gap <= 1e-3


def test_no_time_is_an_error_in_the_solvers_words_and_never_an_empty_plan() -> None:
    with pytest.raises(SolveError, match="Time limit"):
        solve(on_off_fleet(), time_limit_s=1e-9)


def test_every_argument_that_makes_no_sense_is_named() -> None:
    with pytest.raises(ValueError, match="6 faults") as caught:
        solve(
            "problem.json",  # type: ignore[arg-type]
            gap=-1.0,
            time_limit_s=0,
            threads=0,
            solver="structurd",  # type: ignore[arg-type]
            resolution_w=2,  # type: ignore[arg-type]
        )
    for name in ("problem", "gap", "time_limit_s", "threads", "solver", "resolution_w"):
        assert f"{name}: " in str(caught.value)
    assert "did you mean 'structured'" in str(caught.value)
