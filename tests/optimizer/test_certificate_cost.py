"""Costs against sums done by hand."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np
import pytest

from optimizer.certificate import CostBreakdown, cost_of, idle_cost
from tests.optimizer.certificate_problems import make_plan
from tests.optimizer.problems import make_problem

if TYPE_CHECKING:
    from optimizer.plan import Plan

SITE = {"is_site": True, "price_import_per_kwh": 0.3, "price_export_per_kwh": 0.1}


def parts_of(plan: Plan) -> dict[str, float]:
    """The causes that cost something."""
    cost = cost_of(plan.problem, plan.p_charge_kw, plan.p_discharge_kw, plan.generation_kw)
    return {cause: pytest.approx(value) for cause, value in asdict(cost).items() if value}


def test_a_battery_outside_every_site_trades_at_its_terminals():
    battery = {"wear_cost_charge_per_kwh": 0.01, "wear_cost_discharge_per_kwh": 0.02}
    problem = make_problem(2, 0.5, [battery], price_import=[0.1, 0.2], price_export=[0.05, 0.15])
    plan = make_plan(problem, [[4.0, -2.0]])
    # 2 kWh bought at 0.1, 1 kWh sold at 0.15.
    assert parts_of(plan) == {"settlement": 0.2 - 0.15, "wear": 0.02 + 0.02}


def test_a_site_is_settled_on_its_net_with_its_fixed_load():
    problem = make_problem(
        2,
        batteries=[{"group": "g1"}],
        groups=[{**SITE, "load_kw": 3.0, "generation_kw": [0.0, 4.0]}, {"parent": "g0"}],
        generators=[{"group": "g0", "p_kw_available": 2.0, "cost_per_kwh": 0.04}],
    )
    plan = make_plan(problem, [[1.0, -5.0]])
    # Nets: 3 + 1 − 2 = 2 drawn, then 3 − 4 − 5 − 2 = 8 fed in.
    assert parts_of(plan) == {"settlement": 2 * 0.3 - 8 * 0.1, "generation": 4 * 0.04}
    assert idle_cost(problem).settlement == pytest.approx(1 * 0.3 - 3 * 0.1)


def test_fixed_load_in_no_site_belongs_to_nobody():
    problem = make_problem(1, groups=[{"load_kw": 100.0}], batteries=[{"group": "g0"}])
    assert parts_of(make_plan(problem, [[2.0]])) == {"settlement": 0.2}


def test_a_curtailed_generator_earns_the_export_price_for_what_it_gives():
    problem = make_problem(2, batteries=[], generators=[{}], price_import=0.3, price_export=0.2)
    plan = make_plan(problem, np.zeros((0, 2)), generation_kw=np.array([[5.0, 1.0]]))
    assert parts_of(plan) == {"settlement": -6 * 0.2}
    assert idle_cost(problem).total == pytest.approx(-10 * 0.2)


def test_a_limit_charges_each_breach_and_the_largest_of_each_side():
    limit = {"p_kw_max": 3.0, "p_kw_min": -1.0}
    limit |= {"breach_price_per_kwh": 0.5, "breach_price_per_kw": 7.0}
    problem = make_problem(4, 0.5, limits=[limit], price_import=0.0)
    plan = make_plan(problem, [[4.0, 5.0, -4.0, 2.0]])
    assert parts_of(plan) == {"breaches_stated": 0.5 * 0.5 * (1 + 2 + 3), "peaks": 7.0 * (2 + 3)}


def test_firm_rules_break_at_the_firm_price():
    problem = make_problem(
        2,
        groups=[{"load_kw": [4.0, 0.0]}],
        limits=[{"group": "g0", "p_kw_max": 3.0}],
        targets=[
            {"at_h": 2.0, "energy_kwh_min": 7.0},
            {"at_h": 0.5, "energy_kwh_max": 5.25, "breach_price_per_kwh": 0.2},
        ],
    )
    firm = problem.firm_price_per_kwh
    assert firm == 1000 * 0.1
    plan = make_plan(problem, [[1.0, 0.0]])
    found = parts_of(plan)
    assert found["breaches_firm"] == (1.0 + 1.0) * firm
    assert found["breaches_stated"] == 0.25 * 0.2
    # At rest the limit is charged, and what was wanted of the battery is not.
    assert idle_cost(problem).total == pytest.approx(1.0 * firm)


def test_a_band_that_cannot_be_kept_and_a_ramp_yield_at_their_prices():
    battery = {"energy_kwh_initial": 12.0, "p_discharge_kw_max": 1.0, "ramp_down_kw_per_h": 2.0}
    problem = make_problem(2, 0.5, [{**battery, "p_kw_initial": 1.0}])
    found = parts_of(make_plan(problem, [[-1.0, -1.0]]))
    firm = problem.firm_price_per_kwh
    assert found["band_slack"] == (1.5 + 1.0) * 10 * firm
    # The first step is 2 kW where 1 kW in half an hour is allowed; it stands for half an hour.
    assert found["ramp_slack"] == 1.0 * 0.5 * firm


def test_energy_left_is_worth_its_pieces_from_an_empty_store():
    battery = {"end_value_per_kwh": [0.4, 0.1], "end_value_kwh": [2.0, 4.0]}
    problem = make_problem(1, batteries=[battery], price_import=0.0)
    for power, worth in ((-5.0, 0.0), (-4.0, 0.4), (0.0, 0.8 + 0.3), (5.0, 0.8 + 0.4)):
        cost = make_plan(problem, [[power]])
        assert parts_of(cost).get("end_value", 0.0) == pytest.approx(worth)
    assert idle_cost(problem).total == pytest.approx(-1.1)


def test_energy_lacking_below_an_empty_store_costs_like_the_first_piece():
    battery = {"end_value_per_kwh": [0.4, 0.1], "end_value_kwh": [2.0, 4.0], "inflow_kw": -7.0}
    problem = make_problem(1, batteries=[battery], price_import=0.0)
    assert idle_cost(problem).total == pytest.approx(2 * 0.4)


def test_the_total_is_the_sum_with_the_end_value_taken_off():
    parts = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0]
    assert CostBreakdown(*parts).total == 255.0 - 256.0
