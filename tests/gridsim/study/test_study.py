"""From a scenario to a verdict: planning, repairing, refusing, and the accounts."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
import xarray as xr

from gridsim.scenario import scenario_from_mapping
from gridsim.study.accounts import account, self_consumption
from gridsim.study.study import Study
from optimizer.certificate import certify
from tests.gridsim.studies import STEPS, small_scenario, small_study
from twins import replay

if TYPE_CHECKING:
    from pathlib import Path

    from gridsim.run.result import Run


def profit_of_price_only(study: Study) -> float:
    plan = study.plan(grid_limits=False)
    return certify(plan).profit


def test_a_run_is_signed_alike_wherever_its_files_are(tmp_path: Path) -> None:
    texts, hashes = [], []
    for name in ("here", "there"):
        folder = tmp_path / name
        (folder / "data").mkdir(parents=True)
        content = small_scenario(folder / "data", gate={"rounds_max": 0})
        content["prices"]["csv"] = "data/prices.csv"
        (folder / "small.yaml").write_text(json.dumps(content))
        moved = Study.load(folder / "small.yaml", start="2023-01-16T00:00Z")
        run = moved.run()
        texts.append(run.scenario_text)
        hashes.append(run.summary["hashes"])
    assert texts[0] == texts[1]
    assert hashes[0] == hashes[1]
    assert str(tmp_path) not in texts[0]
    assert "csv: data/prices.csv" in texts[0]
    prices = tmp_path / "there" / "data" / "prices.csv"
    assert hashes[1]["prices.csv"] == hashlib.sha256(prices.read_bytes()).hexdigest()
    prices.write_text(prices.read_text().replace("0.05", "0.06"))
    again = Study.load(tmp_path / "there" / "small.yaml").data_hashes
    assert again["prices.csv"] != hashes[0]["prices.csv"]


# Within the grid ---------------------------------------------------------------------------------


def test_a_plan_by_price_alone_breaks_the_small_grid(crowded_study: Study) -> None:
    verdict = crowded_study.validate(crowded_study.plan(grid_limits=False))
    assert not verdict.passed
    assert {finding.check.value for finding in verdict.findings} >= {"voltage"}


def test_the_rounds_end_in_a_pass_and_cost_profit(crowded_study: Study, crowded_run: Run) -> None:
    rounds = crowded_run.summary["rounds"]
    assert crowded_run.passed
    assert 1 < len(rounds) <= crowded_study.built.scenario.gate.rounds_max + 1
    assert crowded_run.summary["profit"] <= profit_of_price_only(crowded_study) + 1e-6
    assert crowded_run.summary["profit"] > 0
    assert sum(rounds[0]["findings"].values()) > 0
    assert (rounds[-1]["findings"], rounds[-1]["worst"]) == ({}, 0.0)
    assert crowded_run.summary["worst_grid_excess"] == 0.0
    assert 0.5 < crowded_run.summary["share_of_ratings_bound"] < 1.0


@pytest.mark.parametrize("energy_kwh", [30.0, 50.0, 100.0])
def test_the_rounds_end_early_however_large_the_batteries(
    tmp_path: Path, energy_kwh: float
) -> None:
    scenario = small_scenario(tmp_path)
    scenario["fleet"]["rule"]["energy_kwh"] = energy_kwh
    run = Study.load(scenario_from_mapping(scenario)).run()
    assert run.passed, run.summary["rounds"]


def test_the_rounds_tell_what_they_do(crowded_study: Study) -> None:
    said: list[str] = []
    run = crowded_study.run(said.append)
    assert "round 2: plan" in said
    assert "round 2: power flow" in said
    assert said[-1] == f"verdict: {run.summary['verdict']}"


def test_the_passing_plan_keeps_every_limit_in_the_flow(crowded_run: Run) -> None:
    data = crowded_run.data
    assert float((data["v_pu"] - data["v_pu_min"]).min()) >= -1e-9
    assert float((data["v_pu_max"] - data["v_pu"]).min()) >= -1e-9
    assert float((data["line_loading"] - data["line_loading_max"]).max()) <= 1e-9
    assert float((data["transformer_loading"] - data["transformer_loading_max"]).max()) <= 1e-9


def test_what_the_gate_lets_through_is_in_whole_watts(crowded_run: Run) -> None:
    """The plan, its proof and the run's arrays are those of the rounded powers."""
    plan, summary = crowded_run.plan, crowded_run.summary
    assert plan.solver is not None
    assert (summary["resolution_w"], summary["cells_left"]) == (1, plan.solver.cells_left)
    watts = 1000.0 * crowded_run.data["p_plan_kw"].to_numpy()
    fractions = np.abs(watts - np.round(watts)) > 1e-6
    assert int(fractions.sum()) <= plan.solver.cells_left
    assert np.abs(watts).max() > 1.0
    proof = certify(plan)
    assert summary["profit"] == pytest.approx(proof.profit, rel=1e-9)
    assert summary["worst_violation"] == pytest.approx(proof.worst_violation)


def test_without_rounds_it_is_refused_in_words(tmp_path: Path) -> None:
    run = small_study(tmp_path, gate={"rounds_max": 0}).run()
    summary = run.summary
    assert summary["verdict"] == "refused"
    assert not run.passed
    assert len(summary["rounds"]) == 1
    assert summary["findings"]
    for finding in summary["findings"]:
        assert finding["element"] in finding["text"]
        assert finding["at"] in finding["text"]
    assert sum(summary["finding_counts"].values()) == len(summary["findings"])


def test_what_is_broken_anyway_is_told_apart_and_not_worsened(tmp_path: Path) -> None:
    # Loads at nominal draw 85 % of one transformer: a limit of 80 % is broken without batteries.
    study = small_study(tmp_path, grid={"limits": {"loading_max": 0.8}})
    run = study.run()
    assert run.summary["preexisting"]
    flow, baseline = run.data["transformer_loading"], run.data["transformer_loading_without"]
    over = baseline > 0.8 + 1e-9
    assert bool(over.any())
    assert float((flow - baseline).where(over).max()) <= 1e-4 or not run.passed
    assert run.passed


def test_a_flow_that_does_not_converge_is_refused_by_interval(tmp_path: Path) -> None:
    scenario = small_scenario(tmp_path, gate={"rounds_max": 1})
    scenario["fleet"]["rule"]["energy_kwh"] = 5000.0
    study = Study.load(scenario_from_mapping(scenario))
    verdict = study.validate(study.plan(grid_limits=False))
    found = [finding for finding in verdict.findings if finding.check.value == "power flow"]
    assert found
    assert all("does not converge" in f.text and f.at in f.text for f in found)
    summary = study.run().summary
    json.dumps(dict(summary), allow_nan=False)


def test_planning_twice_gives_the_same_plan(crowded_study: Study) -> None:
    assert crowded_study.plan().digest == crowded_study.plan().digest


@pytest.mark.parametrize("margin", [0.0, 0.1])
def test_what_begins_above_its_band_ends_at_the_top_of_it(tmp_path: Path, margin: float) -> None:
    scenario = small_scenario(tmp_path, gate={"margins": {"soc": margin}})
    scenario["fleet"]["rule"] |= {"soc_max": 0.8, "soc_initial": 0.9, "energy_kwh": 10.0}
    run = Study.load(scenario_from_mapping(scenario)).run()
    problem, cost = run.plan.problem, run.summary["cost"]
    assert np.allclose(problem.targets.energy_kwh_min, problem.batteries.energy_kwh_max[:, -1])
    assert [b for b in run.plan.breaches if b.kind == "target"] == []
    # Ten times the dearest price for a tenth of every store would be many times the cost of energy.
    assert cost["plan_as_planned"] == pytest.approx(cost["plan"], rel=0.05)


def test_a_missed_end_is_priced_in_the_plan_but_not_in_its_account(tmp_path: Path) -> None:
    # A grid that lets nothing through all day: idle losses cannot be replaced.
    scenario = small_scenario(tmp_path, grid={"limits": {"loading_max": 0.1}})
    run = Study.load(scenario_from_mapping(scenario)).run()
    assert any(b.kind == "target" for b in run.plan.breaches)
    cost = run.summary["cost"]
    assert cost["plan_as_planned"] < run.plan.certificate.cost - 1.0
    assert cost["plan_as_planned"] == pytest.approx(cost["plan"], rel=0.02)


def broken_by_hand(data: xr.Dataset, suffix: str) -> dict[str, int]:
    """Limits that the arrays of a run are beyond."""
    v_pu, line = data[f"v_pu{suffix}"], data[f"line_loading{suffix}"]
    transformer = data[f"transformer_loading{suffix}"]
    low, high = v_pu < data["v_pu_min"] - 1e-9, v_pu > data["v_pu_max"] + 1e-9
    return {
        "bus": int(low.sum() + high.sum()),
        "line": int((line > data["line_loading_max"] + 1e-9).sum()),
        "transformer": int((transformer > data["transformer_loading_max"] + 1e-9).sum()),
        "flow": int(np.isnan(data[f"losses_kw{suffix}"]).sum()),
    }


CASES = {"plan": "", "without": "_without", "price_only": "_price_only"}


def test_broken_limits_are_counted_alike_for_every_way_to_run(tmp_path: Path) -> None:
    strict = small_study(tmp_path, grid={"limits": {"loading_max": 0.8}}).run()
    counted = strict.summary["breaches"]
    assert counted == {key: broken_by_hand(strict.data, end) for key, end in CASES.items()}
    # What the plan passes with is broken without batteries too, and is counted in both.
    assert strict.passed
    assert 0 < counted["plan"]["transformer"] <= counted["without"]["transformer"]


def test_flows_without_a_solution_are_counted_too(tmp_path: Path) -> None:
    scenario = small_scenario(tmp_path, gate={"rounds_max": 0})
    scenario["fleet"]["rule"]["energy_kwh"] = 5000.0
    run = Study.load(scenario_from_mapping(scenario)).run()
    counted = run.summary["breaches"]
    assert counted == {key: broken_by_hand(run.data, end) for key, end in CASES.items()}
    assert counted["price_only"]["flow"] > 0
    assert counted["without"]["flow"] == 0


def test_a_gap_to_any_plan_holds_for_plans_without_the_grid(
    crowded_study: Study, crowded_run: Run
) -> None:
    summary = crowded_run.summary
    free = crowded_study.plan(grid_limits=False)
    assert summary["gap"] < 1e-2 < summary["gap_any_plan"]
    # The plan without the grid is one of "any plan", so it is no better than the gap says.
    lead = certify(free).profit - summary["profit"]
    traded = summary["gap_any_plan"] * summary["profit"]
    assert lead == pytest.approx(traded, rel=0.02)
    assert lead <= traded + 1e-6


def test_the_gates_keys_reach_the_gate_and_every_replay(tmp_path: Path) -> None:
    rules = {
        "temperature_ambient_c": -40.0,
        "fleet_ramp_kw_per_s_max": 1e-6,
        "ramp_s": 60.0,
        "tolerance": {"shortfall_kw_share": 0.2, "battery_energy_share": 0.7},
        "rounds_max": 0,
    }
    study = small_study(tmp_path, gate=rules)
    gate = study.gate
    assert (gate.fleet_ramp_kw_per_s_max, gate.ramp_s) == (1e-6, 60.0)
    assert gate.tolerance.shortfall_kw_share == 0.2
    assert gate.tolerance.battery_energy_share == 0.7
    plan = study.plan(grid_limits=False)
    cold = study.replay(plan)
    assert (cold["temperature_c"][:, 0] == -40.0).all()
    assert np.array_equal(study.validate(plan).evidence.nominal["p_kw"], cold["p_kw"])
    run = study.run()
    assert "fleet ramp" in run.summary["finding_counts"]
    assert np.array_equal(run.data["p_price_only_kw"], cold["p_kw"])
    # Frozen lithium takes no charge: the rule's batteries stay behind too, and cost what they do.
    warm = small_study(tmp_path, gate={**rules, "temperature_ambient_c": 20.0})
    assert float(abs(warm.replay(plan)["p_kw"]).sum()) > float(abs(cold["p_kw"]).sum())


# Accounts ------------------------------------------------------------------------------------


def lived(study: Study, p_kw: xr.DataArray | np.ndarray) -> xr.Dataset:
    return replay(study.built.fleet, study.built.time_grid, p_kw)


def test_without_batteries_the_cost_is_load_times_price(street_study: Study) -> None:
    built = street_study.built
    net = (built.sites["load_kw"] - built.sites["generation_kw"]).to_numpy()
    paid = built.prices["price_import_per_kwh"].to_numpy()
    earned = built.prices["price_export_per_kwh"].to_numpy()
    by_hand = 0.5 * (np.maximum(net, 0) * paid - np.maximum(-net, 0) * earned).sum()
    idle = xr.zeros_like(street_study.plan(grid_limits=False).p_kw)
    nothing = account(street_study.problem(grid_limits=False), lived(street_study, idle))
    assert nothing.energy == pytest.approx(by_hand, rel=1e-12)
    assert nothing.wear == 0.0


def test_the_runs_costs_follow_from_its_arrays(street_run: Run) -> None:
    data, summary = street_run.data, street_run.summary
    site = data["battery_site"].to_numpy()
    net = (data["load_kw"] - data["generation_kw"]).to_numpy()
    row = {name: at for at, name in enumerate(data["site"].to_numpy().tolist())}
    with_plan = net.copy()
    for battery, name in enumerate(site.tolist()):
        with_plan[row[name]] += data["p_kw"].to_numpy()[battery]
    price = data["price_import_per_kwh"].to_numpy()
    assert np.array_equal(price, data["price_export_per_kwh"])  # the shipped tariff
    energy = {key: 0.5 * (p * price).sum() for key, p in (("no", net), ("plan", with_plan))}
    assert summary["cost"]["no_battery"] == pytest.approx(energy["no"], rel=1e-9)
    discharged = -np.minimum(data["p_kw"].to_numpy(), 0.0)
    wear = 0.02 * 0.5 * discharged.sum()
    assert summary["wear"] == pytest.approx(wear, rel=1e-9)
    plan = energy["plan"] + wear + summary["energy_missing_cost"]
    assert summary["cost"]["plan"] == pytest.approx(plan, rel=1e-9)
    saved = 100 * (energy["no"] - plan) / energy["no"]
    assert summary["saving_percent"]["no_battery"] == pytest.approx(saved, rel=1e-6)


def test_missing_energy_is_bought_back(street_study: Study) -> None:
    problem = street_study.problem(grid_limits=False)
    powers = xr.zeros_like(street_study.plan(grid_limits=False).p_kw)
    powers[:, 4] = -1.0
    did = lived(street_study, powers)
    missing = (did["energy_kwh"][:, 0] - did["energy_kwh"][:, -1]).to_numpy()
    assert (missing > 0).all()
    charge, _ = street_study.built.fleet.planning_efficiency(1.0)
    price = float(street_study.built.prices["price_import_per_kwh"].mean())
    assert account(problem, did).energy_missing == pytest.approx(price * (missing / charge).sum())


def test_self_consumption_never_trades_with_the_grid(tmp_path: Path) -> None:
    study = small_study(tmp_path)
    sites = study.built.sites.copy(deep=True)
    rng = np.random.default_rng(7)
    share = rng.uniform(0.0, 1.5, sites["load_kw"].shape)  # a surplus here, a demand there
    sites["generation_kw"] = sites["load_kw"].transpose("site", "time") * share
    built = dataclasses.replace(study.built, sites=sites)
    did = replay(built.fleet, built.time_grid, self_consumption(built))["p_kw"].to_numpy()
    assert (did > 0.1).any()
    assert (did < -0.1).any()
    net = (sites["load_kw"] - sites["generation_kw"]).to_numpy()
    at_site = np.zeros_like(net)
    np.add.at(at_site, built.battery_site, did)
    surplus, demand = np.maximum(-net, 0.0), np.maximum(net, 0.0)
    assert (at_site <= surplus + 1e-9).all()  # never charges from the grid
    assert (at_site >= -demand - 1e-9).all()  # never exports battery energy


def test_the_small_study_is_what_it_says(crowded_study: Study) -> None:
    assert len(crowded_study.built.time_grid) == STEPS
    assert len(crowded_study.built.fleet) == 15
