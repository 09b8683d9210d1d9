"""Rows that tie units together beyond limits: what they mean, and how they come in and go out."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from optimizer.certificate import certify
from optimizer.excerpt import excerpt, keep_all, keep_below
from optimizer.plan import LATER_COLUMNS
from optimizer.plan_file import contradictions, plan_document, plan_from_document
from optimizer.problem import NO_GROUP, ProblemError
from optimizer.reading import read_problem
from optimizer.solve import solve
from optimizer.writing import problem_document
from tests.optimizer.certificate_problems import make_plan, random_problem
from tests.optimizer.problems import make_problem

HOURS = {"start": "2023-01-16T00:00:00Z", "step_minutes": 60, "count": 2}
BATTERY = {
    "battery_id": "b0", "energy_kwh_max": 10, "energy_kwh_initial": 5, "p_charge_kw_max": 5,
    "p_discharge_kw_max": 5,
}  # fmt: skip


def document(**changes: Any) -> dict[str, Any]:
    """Buy at 0.1, sell at 0.3: a battery of 10 kWh and 5 kW, half full, earns 1.50 by selling."""
    return copy.deepcopy(
        {"time": HOURS, "price_import_per_kwh": [0.1, 0.3], "batteries": [BATTERY], **changes}
    )


def faults(**changes: Any) -> set[str]:
    with pytest.raises(ProblemError) as refused:
        read_problem(document(**changes))
    return {fault.where for fault in refused.value.faults}


@pytest.mark.parametrize("seed", range(30))
def test_a_problem_and_its_plan_survive_the_file(seed: int) -> None:
    """What was made in code reads back as the same problem, and so does its plan."""
    problem = random_problem(seed)
    # A moment inside an interval is kept to the microsecond; chance draws finer ones.
    targets = replace(problem.targets, share=np.ones(len(problem.targets)))
    problem = replace(problem, targets=targets)
    again = read_problem(problem_document(problem))
    plan = solve(problem, solver="monolith")
    content = plan_document(plan)
    reread = plan_from_document(content, "plan")
    assert not list(contradictions(content, reread))
    assert reread.problem.digest == again.digest
    assert plan.certificate is not None
    found = certify(reread)
    assert found.cost == pytest.approx(plan.certificate.cost, rel=1e-9, abs=1e-9)
    if plan.certificate.bound_source == "multipliers":
        bound = plan.certificate.profit_bound
        assert found.profit_bound == pytest.approx(bound, rel=1e-9, abs=1e-9)


def test_a_plan_of_before_there_were_such_rows_still_loads() -> None:
    plan = solve(make_problem(limits=[{"p_kw_max": 3.0}]))
    content = plan_document(plan)
    for name in LATER_COLUMNS:
        content["multipliers"].pop(name, None)
    reread = plan_from_document(content, "plan")
    assert plan.certificate is not None
    assert certify(reread).profit_bound == plan.certificate.profit_bound


def test_network_rows_are_read_with_their_entries() -> None:
    row = {
        "row_id": "line", "interval": 1, "batteries": {"b0": 0.5}, "generators": {"pv": 1},
        "groups": {"area": -0.25}, "whole": 0.125, "p_kw_max": 3, "breach_price_per_kwh": 0.2,
    }  # fmt: skip
    pv = {"generator_id": "pv", "p_kw_available": 2}
    problem = read_problem(document(generators=[pv], groups=[{"group_id": "area"}], network=[row]))
    rows = problem.network
    assert rows.entry_unit.tolist() == [0, 1, -1, -1]
    assert rows.entry_group.tolist()[2:] == [0, NO_GROUP]
    assert rows.weight.tolist() == [0.5, 1.0, -0.25, 0.125]
    assert (rows.p_kw_max.tolist(), rows.p_kw_min.tolist()) == ([3.0], [-np.inf])
    assert rows.interval.tolist() == [1]


def test_every_fault_of_network_rows_is_named() -> None:
    good = {"interval": 0, "batteries": {"b0": 1}, "p_kw_max": 1}
    wrong = [
        {**good, "interval": 7},
        {**good, "batteries": {"b1": 1}},
        {**good, "groups": {"nowhere": 1}},
        {**good, "batteries": {}},
        {**good, "p_kw_max": None},
        {**good, "p_kw_min": 2},
        {**good, "row_id": "twice"},
        {**good, "row_id": "twice"},
        {**good, "row_id": "twice", "interval": 1},
    ]
    assert faults(network=wrong) == {
        "network[0].interval", "network[1].batteries.b1", "network[2].groups.nowhere",
        "network[3]", "network[4]", "network[5].p_kw_min", "network[7].row_id",
    }  # fmt: skip


def test_a_badly_formed_network_row_does_not_hide_another_fault() -> None:
    wrong = [{"interval": 0, "batteries": {"b0": "much"}}, {"interval": 0, "p_kw_max": 1}]
    assert faults(network=wrong) == {"network[0].batteries.b0", "network[1]"}


def test_entries_that_point_nowhere_are_refused() -> None:
    sound = make_problem(network=[{"weights": {"b0": 1.0}, "p_kw_max": 1.0}])
    for column, value in (("entry_unit", 5), ("entry_unit", -2), ("weight", np.nan)):
        with pytest.raises(ProblemError, match=column):
            replace(sound, network=replace(sound.network, **{column: np.array([value])}))


def test_a_network_row_shares_a_line_by_weight() -> None:
    """Two batteries sell 5 kWh at 0.3; the line counts the second at half, and carries 4 kW.

    The first can give 1.5 of its 5 kW beside the second's 5: 4 = 1.5 + 0.5 · 5.
    """
    problem = make_problem(
        1,
        batteries=[{}, {}],
        price_import=0.3,
        network=[{"weights": {"b0": 1.0, "b1": 0.5}, "p_kw_min": -4.0}],
    )
    plan = solve(problem)
    assert plan.p_discharge_kw[:, 0] == pytest.approx([1.5, 5.0])
    assert plan.multipliers is not None
    assert plan.multipliers.network_min_per_kw == pytest.approx([0.3])
    assert plan.certificate is not None
    assert plan.certificate.gap == pytest.approx(0.0, abs=1e-9)


def test_a_priced_network_row_is_broken_where_that_pays_and_says_so() -> None:
    row = {"row_id": "line", "weights": {"b0": 1.0}, "p_kw_min": -2.0}
    problem = make_problem(1, price_import=0.3, network=[{**row, "breach_price_per_kwh": 0.2}])
    plan = solve(problem)
    (breach,) = plan.breaches
    assert (breach.kind, breach.name, breach.side, breach.is_firm) == (
        "network", "line", "below", False,
    )  # fmt: skip
    assert breach.size == pytest.approx(3.0)
    assert plan.certificate is not None
    assert plan.certificate.profit == pytest.approx(5 * 0.3 - 3 * 0.2)
    assert plan.certificate.worst_violation == 0.0
    hidden = certify(make_plan(problem, [[-5.0]]))
    assert hidden.worst_violation == pytest.approx(3.0 / 2.0)


def test_a_committed_position_is_kept_where_leaving_it_costs_more_than_it_earns() -> None:
    """Selling 5 kW at 0.3 was committed. Where 0.4 would be paid for selling none, it is sold.

    Where a kWh less sold costs only 0.2, and one bought or kept is worth 0.25 later, it is not.
    """
    position = {"p_kw": -5.0, "price_above_per_kwh": 0.4, "price_below_per_kwh": 0.0}
    battery = {"end_value_per_kwh": 0.55}
    kept = make_problem(1, price_import=0.3, batteries=[battery], positions=[position])
    plan = solve(kept)
    assert plan.p_kw.values == pytest.approx(np.array([[-5.0]]))
    assert plan.multipliers is not None
    assert plan.multipliers.position_per_kwh[0, 0] <= 0.4
    left = [{**position, "price_above_per_kwh": 0.2}]
    plan = solve(make_problem(1, price_import=0.3, batteries=[battery], positions=left))
    assert plan.p_kw.values == pytest.approx(np.array([[5.0]]))
    assert plan.certificate is not None
    assert plan.certificate.cost == pytest.approx(5 * 0.3 + 10 * 0.2 - 10 * 0.55)
    assert plan.certificate.cost_idle == pytest.approx(5 * 0.2 - 5 * 0.55)
    assert plan.certificate.gap == pytest.approx(0.0, abs=1e-9)


def test_less_drawn_than_bought_may_be_sold_again_but_not_both_ways() -> None:
    position = {"p_kw": 0, "price_above_per_kwh": 0.3, "price_below_per_kwh": [-0.2, -0.35]}
    assert faults(positions=[position]) == {"positions[0].price_below_per_kwh[1]"}
    fine = read_problem(document(positions=[{**position, "price_below_per_kwh": -0.3}]))
    plan = solve(fine)
    # Every kWh that deviates is worth 0.3 more than its price: 0.1 and 0.3 become 0.4 and 0.6.
    assert plan.certificate is not None
    assert plan.certificate.profit == pytest.approx(5 * 0.6)
    assert plan.certificate.gap == pytest.approx(0.0, abs=1e-9)


def test_names_of_positions_are_their_own() -> None:
    position = {"p_kw": 0, "price_above_per_kwh": 0, "price_below_per_kwh": 0, "position_id": "a"}
    assert faults(positions=[position, position]) == {"positions[1].position_id"}


@pytest.mark.parametrize(("price", "power"), [(0.05, -5.0), (0.15, -2.0), (0.25, 0.0)])
def test_a_plan_stays_near_the_one_before_where_leaving_it_costs_more(
    price: float, power: float
) -> None:
    """Two kW were planned. More than that is sold for 0.1 above what energy is worth later.

    At 0.05 a kWh it pays to leave, at 0.15 it does not. With no power in the plan before, and a
    price of 0.25, resting is the nearest.
    """
    previous = 0.0 if price == 0.25 else -2.0
    battery = {
        "end_value_per_kwh": 0.2, "p_kw_previous": previous, "change_price_per_kwh": price,
    }  # fmt: skip
    plan = solve(make_problem(1, price_import=0.3, batteries=[battery]))
    assert plan.p_kw.values == pytest.approx(np.array([[power]]))
    assert plan.certificate is not None
    changed = abs(power - previous) * price
    assert plan.certificate.cost == pytest.approx(0.3 * power + changed - 0.2 * (5 + power))
    assert plan.certificate.gap == pytest.approx(0.0, abs=1e-9)


def test_a_net_rises_no_faster_than_its_ramp() -> None:
    """From 1 kW of load, 2 kW more an hour: the battery charges 2, 4, 5 beside it."""
    problem = make_problem(
        3,
        price_import=[0.1, 0.1, 0.1],
        batteries=[{"energy_kwh_max": 50.0, "end_value_per_kwh": 1.0, "group": "home"}],
        groups=[{"group_id": "home", "load_kw": 1.0}],
        limits=[{"group": "home", "ramp_up_kw_per_h": 2.0, "p_kw_initial": 1.0}],
    )
    plan = solve(problem)
    assert plan.p_kw.values[0] == pytest.approx([2.0, 4.0, 5.0])
    assert not plan.breaches
    assert plan.certificate is not None
    assert plan.certificate.gap == pytest.approx(0.0, abs=1e-9)


def test_a_ramp_that_a_load_breaks_is_reported_and_priced() -> None:
    limit = {"limit_id": "slow", "ramp_down_kw_per_h": 1.0, "breach_price_per_kwh": 0.5}
    problem = make_problem(
        2,
        batteries=[{"p_charge_kw_max": 0.0, "p_discharge_kw_max": 0.0}],
        groups=[{"load_kw": [4.0, 1.0]}],
        limits=[limit],
    )
    plan = solve(problem)
    (breach,) = plan.breaches
    assert (breach.kind, breach.name, breach.side) == ("limit ramp", "slow", "below")
    assert (breach.size, breach.unit, breach.is_firm) == (pytest.approx(2.0), "kW/h", False)
    assert plan.certificate is not None
    assert plan.certificate.cost == pytest.approx(2 * 0.5)
    assert plan.certificate.penalty == 0.0
    assert certify(replace(plan, breaches=())).worst_violation == pytest.approx(2.0)


def test_columns_that_say_nothing_leave_a_problem_as_it_was() -> None:
    """Problems and plans of before have the digest they had, and no column of a fleet's size."""
    problem = make_problem(batteries=[{}, {}], limits=[{"p_kw_max": 3.0}])
    b, limits = problem.batteries, problem.limits
    bare = replace(
        problem,
        batteries=replace(b, p_kw_previous=np.zeros(0), change_price_per_kwh=np.zeros(0)),
        limits=replace(limits, ramp_up_kw_per_h=np.zeros(0), p_kw_initial=np.zeros(0)),
    )
    assert bare.digest == problem.digest
    assert bare.batteries.p_kw_previous.shape == bare.shape
    assert not any(bare.batteries.p_kw_previous.strides)
    changed = replace(b, p_kw_previous=np.ones(problem.shape))
    assert replace(problem, batteries=changed).digest != problem.digest


def test_a_part_of_a_problem_has_the_positions_of_its_groups() -> None:
    free = {"p_kw": 0.0, "price_above_per_kwh": 0.1}
    problem = make_problem(
        batteries=[{"group": "one"}, {"group": "two"}],
        groups=[{"group_id": "one"}, {"group_id": "two"}],
        positions=[free, {**free, "group": "one"}, {**free, "group": "two"}],
    )
    part = excerpt(problem, keep_below(problem, 1), "part")
    assert part.problem.positions.position_id == ("c2",)
    assert part.problem.positions.group.tolist() == [0]
    all_of_it = excerpt(problem, keep_all(problem), "all", whole=True)
    assert len(all_of_it.problem.positions) == 3


KEEPS = {"provides_reserve": True}


def test_reserve_upwards_holds_back_power_and_the_energy_behind_it() -> None:
    """Selling pays in every hour. 2 kW for an hour, at an efficiency of 0.8: 2.5 kWh stay."""
    problem = make_problem(
        2,
        price_import=0.3,
        batteries=[{**KEEPS, "efficiency_discharge": 0.8}],
        reserves=[{"p_kw_required": 2.0, "duration_h": 1.0}],
    )
    plan = solve(problem)
    assert plan.energy_kwh[0, -1] == pytest.approx(2.5)
    assert plan.reserve_by_product_kw[0] == pytest.approx([2.0, 2.0])
    assert (plan.p_discharge_kw - plan.p_charge_kw + plan.reserve_kw).max() <= 5.0 + 1e-9
    assert plan.certificate is not None
    assert plan.certificate.profit == pytest.approx(0.3 * 0.8 * 2.5)
    assert plan.certificate.gap == pytest.approx(0.0, abs=1e-9)
    assert not plan.breaches


def test_a_battery_that_charges_may_stop_for_reserve_and_one_at_rest_may_start() -> None:
    """At full charging power 10 kW could be given up again; downwards there is no room left."""
    battery = {**KEEPS, "energy_kwh_max": 100.0, "energy_kwh_initial": 50.0}
    charging = {"batteries": [{**battery, "end_value_per_kwh": 1.0}]}
    up = make_problem(1, reserves=[{"p_kw_required": 10.0}], **charging)
    plan = solve(up)
    assert plan.p_kw.values == pytest.approx(np.array([[5.0]]))
    assert not plan.breaches
    down = {"p_kw_required": 4.0, "is_up": False, "breach_price_per_kwh": 0.5}
    plan = solve(make_problem(1, reserves=[down], **charging))
    assert plan.p_kw.values == pytest.approx(np.array([[5.0]]))
    (breach,) = plan.breaches
    assert (breach.kind, breach.name, breach.side, breach.unit) == ("reserve", "q0", "below", "kW")
    assert breach.size == pytest.approx(4.0)
    assert plan.certificate is not None
    assert plan.certificate.cost == pytest.approx(5 * 0.1 + 4 * 0.5 - 55.0)
    assert certify(replace(plan, breaches=())).worst_violation == pytest.approx(1.0)


def test_reserve_is_kept_by_who_can_and_may() -> None:
    """Of 6 kW the battery in the group gives its 5; the other is elsewhere, the third may not."""
    problem = make_problem(
        1,
        batteries=[{**KEEPS, "group": "here"}, KEEPS, {"group": "here"}],
        groups=[{"group_id": "here"}],
        reserves=[{"group": "here", "p_kw_required": 6.0, "duration_h": 0.5}],
    )
    assert problem.reserve_pairs.tolist() == [[0, 0]]
    plan = solve(problem)
    assert plan.reserve_kw.tolist() == [[pytest.approx(5.0)]] or plan.p_charge_kw[0, 0] > 0
    whole = replace(problem.reserves, group=np.array([NO_GROUP]))
    assert not solve(replace(problem, reserves=whole)).breaches


def test_a_battery_that_cannot_keep_its_band_keeps_no_reserve() -> None:
    low = {**KEEPS, "energy_kwh_initial": 1.0, "energy_kwh_min": 4.0, "p_charge_kw_max": 1.0}
    plan = solve(make_problem(2, batteries=[low], reserves=[{"p_kw_required": 1.0}]))
    assert not plan.reserve_kw.any()
    assert {breach.kind for breach in plan.breaches} == {"band", "reserve"}
    claimed = replace(plan, reserve_kw=np.ones((1, 2)))
    assert certify(claimed).worst_violation >= 0.2


def test_reserve_that_is_claimed_but_not_held_is_found() -> None:
    problem = make_problem(1, batteries=[KEEPS], reserves=[{"p_kw_required": 4.0}])
    held = certify(make_plan(problem, [[-1.0]], reserve_kw=np.array([[4.0]])))
    assert held.worst_violation == 0.0
    power = certify(make_plan(problem, [[-2.0]], reserve_kw=np.array([[4.0]])))
    assert power.worst_violation == pytest.approx(1.0 / 4.0)  # kWh behind it; of 5 kW 1 lacks
    negative = certify(make_plan(problem, [[0.0]], reserve_kw=np.array([[-1.0]])))
    assert negative.worst_violation >= 0.2


def test_every_fault_of_reserves_is_named() -> None:
    product = {"direction": "up", "p_kw_required": 1, "duration_h": 1, "reserve_id": "a"}
    steps = {**BATTERY, "power_levels": 2, "provides_reserve": True}
    assert faults(
        batteries=[steps],
        reserves=[product, product, {**product, "reserve_id": "b", "p_kw_required": [1, -1]}],
    ) == {"batteries[0].provides_reserve", "reserves[1].reserve_id", "reserves[2].p_kw_required[1]"}
    assert faults(reserves=[{**product, "direction": "sideways"}]) == {"reserves[0].direction"}


def test_reserves_by_brute_force() -> None:
    """Every plan on a grid of half a kW, and the best reserve of each: none is cheaper."""
    problem = make_problem(
        2,
        price_import=[0.1, 0.35],
        batteries=[{**KEEPS, "p_charge_kw_max": 2.0, "p_discharge_kw_max": 2.0,
                    "energy_kwh_max": 4.0, "energy_kwh_initial": 2.0, "energy_kwh_min": 0.5,
                    "efficiency_discharge": 0.8}],
        reserves=[
            {"p_kw_required": [1.5, 1.0], "duration_h": 0.5, "breach_price_per_kwh": 0.15},
            {"p_kw_required": 1.5, "duration_h": 1.0, "is_up": False,
             "breach_price_per_kwh": 0.1},
        ],
    )  # fmt: skip
    plan = solve(problem)
    assert plan.certificate is not None
    best = np.inf
    for first in np.arange(-2.0, 2.01, 0.5):
        for second in np.arange(-2.0, 2.01, 0.5):
            trial = make_plan(problem, [[first, second]])
            if trial.energy_kwh.min() < 0.5 or trial.energy_kwh.max() > 4.0:
                continue
            ends = np.stack([trial.energy_kwh[0, :-1], trial.energy_kwh[0, 1:]])
            power = np.array([first, second])
            up = np.minimum(2.0 + power, (ends.min(axis=0) - 0.5) * 0.8 / 0.5)
            down = np.minimum(2.0 - power, 4.0 - ends.max(axis=0))
            short_up = np.maximum(np.array([1.5, 1.0]) - up, 0.0).sum()
            short_down = np.maximum(1.5 - down, 0.0).sum()
            cost = 0.1 * first + 0.35 * second + 0.15 * short_up + 0.1 * short_down
            best = min(best, cost)
    assert plan.certificate.cost <= best + 1e-9
    assert plan.certificate.cost >= best - 0.35 * 0.5
    assert plan.certificate.gap == pytest.approx(0.0, abs=1e-8)


def test_the_certificate_of_continuous_problems_with_everything_closes() -> None:
    """Linear programming duality: at the model's own multipliers the bound is the optimum."""
    kinds = {"positions": 0, "reserve_pairs": 0, "network": 0}
    checked = 0
    for seed in range(1000, 1120):
        problem = random_problem(seed)
        plan = solve(problem, solver="monolith")
        assert plan.solver is not None
        assert plan.certificate is not None
        if plan.solver.binaries:
            continue
        found = certify(plan)  # trusts nobody
        rounding = 1e-9 * problem.firm_price_per_kwh
        assert found.gap <= 1e-6 or found.gap_absolute <= rounding, f"seed {seed}: {found}"
        checked += 1
        for name in kinds:
            kinds[name] += bool(len(getattr(problem, name)))
    assert checked > 60
    assert min(kinds.values()) > 15
