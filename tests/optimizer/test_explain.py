"""Prices as arrays, and what a battery does in words: both must fit their plan."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from optimizer.explain import Explanation, Why
from optimizer.solve import solve
from tests.optimizer.certificate_problems import random_problem
from tests.optimizer.engine.test_engine import fleet
from tests.optimizer.problems import make_problem

if TYPE_CHECKING:
    from optimizer.plan import Plan


def reasons(found: Explanation) -> list[Why]:
    return [Why[name] for name in found.series["why"].values]


def test_a_battery_moves_at_full_power_or_where_both_sides_are_equal() -> None:
    """Complementary slackness, read off the explanation, at optima of linear problems."""
    seen = set()
    for seed in range(60):
        plan = solve(random_problem(seed, shared=False), solver="monolith")
        assert plan.solver is not None
        if plan.solver.binaries:
            continue
        b = plan.problem.batteries
        for row, name in enumerate(b.battery_id):
            found = plan.explain(name)
            for t, why in enumerate(reasons(found)):
                seen.add(why)
                power = float(found.series["p_kw"][t])
                most = (b.p_charge_kw_max if power > 0 else b.p_discharge_kw_max)[row, t]
                full = abs(power) >= (1 - 1e-3) * most
                assert why not in (Why.AGAINST, Why.HELD), f"seed {seed}, {name}, {t}"
                assert why is not Why.PAYS or full, f"seed {seed}, {name}, {t}"
    assert seen == {Why.PAYS, Why.TIE, Why.RESTS}


def one_day() -> Plan:
    """Buy at 0.1, sell at 0.5 what is left after 90 % each way; 0.4 is no reason to move."""
    battery = {
        "energy_kwh_initial": 0.0, "efficiency_charge": 0.9, "efficiency_discharge": 0.9,
        "p_charge_kw_max": 4.0, "wear_cost_discharge_per_kwh": 0.05,
    }  # fmt: skip
    return solve(make_problem(T=4, batteries=[battery], price_import=[0.1, 0.4, 0.4, 0.5]))


def test_a_simple_day_is_told_as_it_is() -> None:
    found = one_day().explain("b0")
    assert reasons(found) == [Why.PAYS, Why.RESTS, Why.RESTS, Why.TIE]
    text = str(found)
    assert "00:00 to 01:00 charges 4.000 kW, all that it can: a kWh costs 0.100 EUR" in text
    assert "01:00 to 03:00 rests" in text
    # The 3.6 kWh that are there leave at less than full power: their worth is what they bring.
    assert "03:00 to 04:00 discharges 3.240 kW: a kWh brings 0.450 EUR and is worth 0.450" in text
    assert "b0: charges 4 kWh for 0.4 EUR and discharges 3.24 kWh for 1.62 EUR" in text


def test_limits_targets_and_breaches_are_named() -> None:
    batteries = [{"group": "g0", "energy_kwh_initial": 2.0}, {"group": "g0"}]
    problem = make_problem(
        T=4,
        batteries=batteries,
        groups=[{}],
        limits=[{"group": "g0", "p_kw_min": -4.0}],
        targets=[
            {"battery": 0, "interval": 1, "energy_kwh_min": 6.0},
            {"battery": 1, "interval": 0, "energy_kwh_min": 12.0},
        ],
        price_import=[0.1, 0.2, 0.5, 0.5],
    )
    plan = solve(problem)
    lines = plan.explain("b0").lines
    assert any(line.startswith("Limit l0 makes feeding in worth less by up to") for line in lines)
    target = next(line for line in lines if line.startswith("Target"))
    assert target.startswith("Target of at least 6 kWh at 2023-01-16T02:00:00Z: ")
    assert any(line.startswith("Not kept: target of b1") for line in plan.explain("b1").lines)


def test_a_limits_price_is_what_one_more_kw_saves() -> None:
    problem = fleet()
    plan = solve(problem, solver="structured", gap=1e-7, audit=False)
    limit, t = 0, 4
    price = float(plan.prices["limit_min_per_kw"][limit, t])
    assert price > 0.01
    low = problem.limits.p_kw_min.copy()
    low[limit, t] -= 0.01
    wider = replace(problem, limits=replace(problem.limits, p_kw_min=low))
    other = solve(wider, solver="monolith")
    assert plan.certificate is not None
    assert other.certificate is not None
    saved = (plan.certificate.cost - other.certificate.cost) / 0.01
    assert saved == pytest.approx(price, rel=0.01)


def test_prices_are_labelled_and_fit_the_tree() -> None:
    prices = solve(fleet(), solver="structured", audit=False).prices
    for name, column in prices.items():
        assert column.attrs["units"].startswith("EUR/kW"), name
        assert column.attrs["long_name"], name
    net = prices["limit_max_per_kw"] - prices["limit_min_per_kw"]
    step_h = 1.0
    top = prices["group_price_per_kwh"].sel(group="top")
    feeder = prices["group_price_per_kwh"].sel(group="feeder1")
    np.testing.assert_allclose((feeder - top) * step_h, net.sel(limit="l2"), atol=1e-12)
    of_battery = prices["price_draw_per_kwh"].sel(battery="b1")
    np.testing.assert_allclose(of_battery, feeder)


def test_what_is_not_known_is_an_error() -> None:
    plan = one_day()
    with pytest.raises(KeyError, match="no battery 'b7'"):
        plan.explain("b7")
    without = replace(plan, multipliers=None)
    with pytest.raises(ValueError, match="no prices"):
        without.explain("b0")
    with pytest.raises(ValueError, match="no prices"):
        _ = without.prices
