"""The gate on a real grid: what it lets through, what it refuses and in which words."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from dispatch import Check, Gate, Tolerance
from dispatch.gate import versions
from gridsim.study.carrier import GridCarrier
from gridsim.study.shaping import dispatch_problem
from optimizer.plan import Breach
from tests.gridsim.studies import gate_for, larger, made_plan
from twins import Uncertainty

if TYPE_CHECKING:
    import numpy.typing as npt

    from dispatch import Finding, Verdict
    from gridsim.study.study import Study
    from optimizer.plan import Plan
    from optimizer.problem import DispatchProblem
    from twins import Fleet

ROOT = Path(__file__).parent.parent.parent
EVENING = slice(36, 40)
"""18:00 to 20:00 UTC: the street's own demand is highest."""

DARK = 3


@pytest.fixture(scope="module")
def problem(study: Study) -> DispatchProblem:
    """What the fleet may do, free of targets that a plan made by hand would miss."""
    return free_problem(study, study.built.fleet)


def free_problem(study: Study, fleet: Fleet) -> DispatchProblem:
    options = study.built.scenario.optimiser.model_copy(update={"end_energy": "free"})
    scenario = study.built.scenario.model_copy(update={"optimiser": options})
    return dispatch_problem(dataclasses.replace(study.built, scenario=scenario, fleet=fleet))


def evening(problem: DispatchProblem, p_kw: npt.ArrayLike) -> npt.NDArray[np.float64]:
    values = np.zeros(problem.shape)
    values[:, EVENING] = np.asarray(p_kw)[..., None]
    return values


@pytest.fixture(scope="module")
def idle(problem: DispatchProblem) -> Plan:
    return made_plan(problem, np.zeros(problem.shape))


@pytest.fixture(scope="module")
def idle_verdict(study: Study, idle: Plan) -> Verdict:
    return study.gate.check(idle)


@pytest.fixture(scope="module")
def absurd(study: Study) -> tuple[Fleet, Plan, Verdict]:
    """Batteries eight times as large, all charging at half power through the evening."""
    fleet = larger(study.built.fleet, 8.0, soc_initial=0.3)
    problem = free_problem(study, fleet)
    plan = made_plan(problem, evening(problem, fleet.p_charge_kw_max * 0.5))
    return fleet, plan, gate_for(study, fleet).check(plan)


def by_check(verdict: Verdict, check: Check) -> list[Finding]:
    return [finding for finding in verdict.findings if finding.check is check]


def test_doing_nothing_passes(idle_verdict: Verdict) -> None:
    assert idle_verdict.passed
    assert idle_verdict.word == "pass"
    assert idle_verdict.grid_model == "balanced"
    flow, baseline = idle_verdict.evidence.flow, idle_verdict.evidence.baseline
    # Batteries at rest draw nothing from the grid: their standing loss comes out of the store.
    assert np.allclose(flow["v_pu"], baseline["v_pu"], atol=1e-9)


def test_an_absurd_plan_is_refused_by_element_interval_value_and_limit(
    study: Study, absurd: tuple[Fleet, Plan, Verdict]
) -> None:
    _, plan, verdict = absurd
    assert verdict.word == "refused"
    labels = {
        Check.VOLTAGE: study.built.grid.buses.label,
        Check.LINE_LOADING: study.built.grid.lines.label,
        Check.TRANSFORMER_LOADING: study.built.grid.transformers.label,
    }
    starts = {f"{at}Z" for at in plan.problem.grid.starts[EVENING].astype("datetime64[s]")}
    for check, known in labels.items():
        findings = by_check(verdict, check)
        assert findings, check
        worst = findings[0]
        assert worst.element in known.tolist()
        assert {finding.at for finding in findings} <= starts
        assert worst.element in worst.text
        assert worst.at in worst.text
        beyond = [abs(finding.value - finding.limit) for finding in findings]
        assert beyond == sorted(beyond, reverse=True)
    voltage = by_check(verdict, Check.VOLTAGE)[0]
    assert voltage.unit == "pu"
    assert voltage.value < voltage.limit == 0.9
    assert f"{voltage.value:.4f}" in voltage.text
    assert voltage.without_batteries > 0.98
    loading = by_check(verdict, Check.TRANSFORMER_LOADING)[0]
    assert loading.value > loading.limit == 1.0
    assert f"{loading.value:.1%}" in loading.text


def test_a_flow_that_does_not_converge_names_its_intervals(study: Study) -> None:
    fleet = larger(study.built.fleet, 400.0, soc_initial=0.3)
    problem = free_problem(study, fleet)
    plan = made_plan(problem, evening(problem, fleet.p_charge_kw_max * 0.5))
    verdict = gate_for(study, fleet).check(plan)
    found = by_check(verdict, Check.POWER_FLOW)
    starts = [f"{at}Z" for at in problem.grid.starts[EVENING].astype("datetime64[s]")]
    assert sorted(finding.at for finding in found) == starts
    assert all("does not converge" in f.text and f.at in f.text for f in found)


def test_what_the_power_flow_says_is_what_is_reported(
    absurd: tuple[Fleet, Plan, Verdict],
) -> None:
    _, plan, verdict = absurd
    starts = [f"{at}Z" for at in plan.problem.grid.starts.astype("datetime64[s]")]
    loading = verdict.evidence.flow["line_loading"]
    for finding in by_check(verdict, Check.LINE_LOADING)[:20]:
        at = loading.sel(line=finding.element)[starts.index(finding.at)]
        assert finding.value == pytest.approx(float(at))
    broken = int((verdict.evidence.flow["line_loading"] > 1.0 + 1e-9).sum())
    assert len(by_check(verdict, Check.LINE_LOADING)) == broken


def test_a_plan_beyond_the_devices_limits_is_refused(
    study: Study, problem: DispatchProblem
) -> None:
    asked = np.zeros(problem.shape)
    asked[3, 5] = problem.batteries.p_charge_kw_max[3, 5] * 1.5
    asked[4, 6] = -problem.batteries.p_discharge_kw_max[4, 6] * 1.5
    verdict = study.gate.check(made_plan(problem, asked))
    found = by_check(verdict, Check.DEVICE_LIMIT)
    names = problem.batteries.battery_id
    assert {finding.element for finding in found} == {names[3], names[4]}
    assert all("its limit is" in finding.text for finding in found)
    # The optimiser's own rule is broken too, and the plan does not say so.
    assert by_check(verdict, Check.PLAN)


def test_a_plan_that_the_twins_cannot_follow_is_refused(
    study: Study, problem: DispatchProblem
) -> None:
    full = evening(problem, problem.batteries.p_charge_kw_max[:, 0])
    full[:, 20:44] = full[:, [37]]  # twelve hours at C/2 do not fit into any of them
    verdict = gate_for(study, study.built.fleet).check(made_plan(problem, full))
    found = by_check(verdict, Check.BATTERY_REPLAY)
    assert {finding.element for finding in found} == set(problem.batteries.battery_id)
    assert {finding.unit for finding in found} == {"kW", "kWh"}
    assert all("behind the plan" in finding.text for finding in found)


def test_a_plan_that_hides_a_breach_is_refused(study: Study) -> None:
    problem = dispatch_problem(study.built)  # with its targets at the end of the day
    asked = np.zeros(problem.shape)
    asked[0, 10] = -1.0
    honest = made_plan(problem, asked)
    assert any(breach.kind == "target" for breach in honest.breaches)
    liar = dataclasses.replace(honest, breaches=())
    name = problem.batteries.battery_id[0]
    for plan in (liar, dataclasses.replace(liar, certificate=None)):
        found = by_check(study.gate.check(plan), Check.PLAN)
        assert name in {finding.element for finding in found}
        assert any("claims to keep" in finding.text for finding in found)


def test_a_firm_breach_that_is_admitted_is_a_finding_too(study: Study, idle: Plan) -> None:
    name = idle.problem.batteries.battery_id[0]
    admitted = Breach("limit", name, "2023-01-16T10:00:00Z", 2.5, "kW", "above", True)
    soft = dataclasses.replace(admitted, is_firm=False)
    verdict = study.gate.check(dataclasses.replace(idle, breaches=(admitted, soft)))
    assert [str(finding) for finding in by_check(verdict, Check.PLAN)] == [str(admitted)]


def test_the_evidence_is_of_what_the_twins_did(absurd: tuple[Fleet, Plan, Verdict]) -> None:
    _, plan, verdict = absurd
    lived = verdict.evidence.nominal["p_kw"]
    assert lived.dims == ("battery", "time")
    assert float(abs(lived).sum()) <= float(abs(plan.p_kw).sum()) * (1 + 1e-9)


# Limits that are broken without batteries -----------------------------------------------------


@pytest.fixture(scope="module")
def strict_carrier(study: Study) -> GridCarrier:
    """The street with a lowest voltage that it cannot keep even at rest."""
    flow = study.power_flow
    lowest = float(flow.baseline["v_pu"].min())
    grid = flow.grid.with_limits(v_pu_min=lowest + 0.002)
    places = dict(zip(map(str, study.built.fleet.battery_id), study.built.battery_bus, strict=True))
    return GridCarrier(type(flow)(grid, flow.profiles, places))


def test_what_is_broken_anyway_is_reported_apart(
    study: Study, strict_carrier: GridCarrier, idle: Plan
) -> None:
    verdict = Gate(study.built.fleet, strict_carrier).check(idle)
    assert verdict.passed
    assert verdict.preexisting
    for finding in verdict.preexisting:
        assert finding.check is Check.VOLTAGE
        assert finding.value < finding.limit
        assert finding.value == pytest.approx(finding.without_batteries, abs=1e-6)


def test_to_worsen_it_counts_and_to_ease_it_does_not(
    study: Study, strict_carrier: GridCarrier, problem: DispatchProblem
) -> None:
    gate = Gate(study.built.fleet, strict_carrier)
    rest = gate.check(made_plan(problem, np.zeros(problem.shape)))
    when = {finding.at for finding in rest.preexisting}
    starts = [f"{at}Z" for at in problem.grid.starts.astype("datetime64[s]")]
    at = starts.index(sorted(when)[0])
    asked = np.zeros(problem.shape)
    asked[:, at] = 1.0
    worse = gate.check(made_plan(problem, asked))
    assert not worse.passed
    assert all(f.value < f.without_batteries for f in by_check(worse, Check.VOLTAGE))
    asked[:, at] = -1.0
    eased = gate.check(made_plan(problem, asked))
    assert by_check(eased, Check.VOLTAGE) == []


@pytest.fixture(scope="module")
def overwhelmed(study: Study) -> GridCarrier:
    """The street with 500 times its load in one interval: no flow there, batteries or not."""
    flow = study.power_flow
    profiles = flow.profiles.copy(deep=True)
    profiles["load_kw"][:, DARK] *= 500.0
    profiles["load_kvar"][:, DARK] *= 500.0
    places = dict(zip(map(str, study.built.fleet.battery_id), study.built.battery_bus, strict=True))
    return GridCarrier(type(flow)(flow.grid, profiles, places))


def test_a_flow_without_a_solution_is_excused_at_rest_alone(
    study: Study, overwhelmed: GridCarrier, problem: DispatchProblem
) -> None:
    gate = Gate(study.built.fleet, overwhelmed)
    when = f"{problem.grid.starts[DARK].astype('datetime64[s]')}Z"
    rest = gate.check(made_plan(problem, np.zeros(problem.shape)))
    assert rest.passed
    assert [f.at for f in rest.preexisting if f.check is Check.POWER_FLOW] == [when]
    asked = np.zeros(problem.shape)
    asked[0, DARK] = -0.1
    moving = gate.check(made_plan(problem, asked))
    (found,) = by_check(moving, Check.POWER_FLOW)
    assert found.at == when
    asked = np.roll(asked, 4, axis=1)
    assert gate.check(made_plan(problem, asked)).passed


# What is judged and by whom ------------------------------------------------------------------


def test_the_digest_names_all_that_was_judged(
    study: Study, strict_carrier: GridCarrier, problem: DispatchProblem, idle_verdict: Verdict
) -> None:
    fleet, idle = study.built.fleet, made_plan(problem, np.zeros(problem.shape))
    other = np.zeros(problem.shape)
    other[0, 0] = 1e-6
    digests = [
        idle_verdict.digest,
        study.gate.check(made_plan(problem, other)).digest,
        gate_for(study, larger(fleet, 1.0, soc_initial=0.500001)).check(idle).digest,
        Gate(fleet, strict_carrier).check(idle).digest,
    ]
    assert len(set(digests)) == len(digests)
    assert study.gate.check(idle).digest == idle_verdict.digest


def test_a_verdict_is_the_same_in_every_process(idle_verdict: Verdict) -> None:
    code = """
import numpy as np
from tests.dispatch.test_gate import free_problem
from tests.gridsim.studies import made_plan, street
study = street()
problem = free_problem(study, study.built.fleet)
print(study.gate.check(made_plan(problem, np.zeros(problem.shape))).digest)
"""
    environment = {**os.environ, "PYTHONHASHSEED": "12345"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip().splitlines()[-1] == idle_verdict.digest


def test_uncertain_parameters_are_lived_through_and_judged(
    study: Study, problem: DispatchProblem
) -> None:
    fleet = study.built.fleet
    # From the middle to the very top of the band: any smaller battery cannot take it.
    room = (fleet.soc_max - fleet.soc_initial) * fleet.capacity_kwh
    charge, _ = fleet.planning_efficiency(1.0)
    plan = made_plan(problem, evening(problem, room / charge / 2.0 * 0.97))
    certain = study.gate.check(plan)
    mild = Uncertainty(count=5, seed=1, capacity_std=1e-6, efficiency_std=0, soc_initial_std=0)
    wild = Uncertainty(count=5, seed=1, capacity_std=0.15, efficiency_std=0, soc_initial_std=0.1)
    quiet = gate_for(study, fleet, uncertainty=mild).check(plan)
    assert quiet.evidence.replay.sizes["scenario"] == 5
    assert "scenario" not in quiet.evidence.nominal.dims
    assert np.allclose(quiet.evidence.nominal["p_kw"], certain.evidence.nominal["p_kw"])
    assert quiet.passed == certain.passed
    refused = gate_for(study, fleet, uncertainty=wild).check(plan)
    texts = [f.text for f in refused.findings if f.element == "fleet"]
    assert any("parameter scenarios" in text for text in texts)


def test_a_grid_that_carries_what_is_delivered_must_carry_what_is_asked(study: Study) -> None:
    """Twins that fall short by a tolerated bit must not hide what the devices may well do."""
    fleet = larger(study.built.fleet, 5.0, soc_initial=0.3)
    problem = free_problem(study, fleet)
    plan = made_plan(problem, evening(problem, fleet.p_charge_kw_max * 0.5))
    gate = gate_for(study, fleet)
    asked = gate.check(plan)
    assert len(asked.evidence.cases) == 1  # the twins do all of it, so one flow is enough
    # The same powers, the last interval's beyond what is left in the store.
    room = (fleet.soc_max - fleet.soc_initial) * fleet.capacity_kwh
    values = np.zeros(problem.shape)
    values[:, 36:39] = np.minimum(room / 1.5 / 0.9, fleet.p_charge_kw_max)[:, None]
    verdict = gate.check(made_plan(problem, values))
    delivered, wished = verdict.evidence.cases
    assert float(wished.p_kw.sum()) > float(delivered.p_kw.sum())
    assert np.array_equal(wished.p_kw, values)
    assert any(f.text.endswith("asked for") for f in by_check(verdict, Check.LINE_LOADING))
    # Each limit is named once in each interval, with the worse of both flows.
    grid_checks = (Check.VOLTAGE, Check.LINE_LOADING, Check.TRANSFORMER_LOADING)
    broken = [finding for check in grid_checks for finding in by_check(verdict, check)]
    keys = [(f.check, f.element, f.at, f.value > f.limit) for f in broken]
    assert len(set(keys)) == len(keys)
    worst = np.maximum(delivered.flow["line_loading"], wished.flow["line_loading"])
    found = by_check(verdict, Check.LINE_LOADING)
    assert len(found) == int((worst > 1.0 + 1e-9).sum())
    assert found[0].value == pytest.approx(float(worst.max()))


def one_full_cycle(study: Study, problem: DispatchProblem) -> Plan:
    """From the middle to the top of the band, to the bottom, and back: all that is stored."""
    fleet = study.built.fleet
    charge, discharge = fleet.planning_efficiency(1.0)
    span = (fleet.soc_max - fleet.soc_min) * fleet.capacity_kwh
    values = np.zeros(problem.shape)
    values[:, 4:8] = (0.48 * span / charge / 2.0)[:, None]
    values[:, 20:28] = -(0.95 * span * discharge / 4.0)[:, None]
    values[:, 40:44] = (0.46 * span / charge / 2.0)[:, None]
    return made_plan(problem, values)


def test_a_battery_that_draws_badly_is_not_hidden_by_its_fleet(
    study: Study, problem: DispatchProblem
) -> None:
    plan, fleet = one_full_cycle(study, problem), study.built.fleet
    assert [f for f in study.gate.check(plan).findings if f.check is Check.BATTERY_REPLAY] == []
    wild = Uncertainty(count=21, seed=1, capacity_std=0.1, efficiency_std=0.0, soc_initial_std=0.05)
    # Even with a fleet that may deliver anything at all.
    tolerance = Tolerance(fleet_energy_share=0.0)
    refused = gate_for(study, fleet, uncertainty=wild, tolerance=tolerance).check(plan)
    found = by_check(refused, Check.BATTERY_REPLAY)
    assert 0.5 * len(fleet) < len(found) <= len(fleet)
    assert {f.element for f in found} <= set(map(str, fleet.battery_id))
    short = abs(refused.evidence.replay["p_shortfall_kw"]).sum("time") * 0.5
    for one in found[:5]:
        limit = 0.05 * float(abs(plan.p_kw).sel(battery=one.element).sum()) * 0.5
        often = float((short.sel(battery=one.element) > limit).mean())
        assert one.value == pytest.approx(often)
        assert often > 0.05
    calm = Tolerance(fleet_energy_share=0.0, battery_energy_share=0.0)
    loose = gate_for(study, fleet, uncertainty=wild, tolerance=calm).check(plan)
    assert by_check(loose, Check.BATTERY_REPLAY) == []


def test_the_least_and_the_most_that_drawn_fleets_do_is_tried_on_the_grid(
    study: Study, problem: DispatchProblem
) -> None:
    drawn = Uncertainty(count=6, seed=3, capacity_std=0.1, efficiency_std=0.0, soc_initial_std=0.05)
    verdict = gate_for(study, study.built.fleet, uncertainty=drawn).check(
        one_full_cycle(study, problem)
    )
    lowest, highest = verdict.evidence.cases[-2:]
    fleet_kw = verdict.evidence.replay["p_kw"].sum("battery")
    assert np.allclose(lowest.p_kw.sum("battery"), fleet_kw.min("scenario"))
    assert np.allclose(highest.p_kw.sum("battery"), fleet_kw.max("scenario"))
    assert (lowest.flow["p_exchange_kw"] <= highest.flow["p_exchange_kw"] + 1e-6).all()
    assert bool((lowest.flow["p_exchange_kw"] < highest.flow["p_exchange_kw"] - 1.0).any())


def test_the_digest_names_the_rules_of_the_judgement(study: Study, idle: Plan) -> None:
    fleet = study.built.fleet
    draws = Uncertainty(count=2, seed=1, capacity_std=0.0, efficiency_std=0.0, soc_initial_std=0.0)
    gates = [
        study.gate,
        gate_for(study, fleet),
        gate_for(study, fleet, uncertainty=draws),
        gate_for(study, fleet, tolerance=Tolerance(shortfall_kw_share=0.11)),
        gate_for(study, fleet, temperature_ambient_c=21.0),
        gate_for(study, fleet, fleet_ramp_kw_per_s_max=1e3),
        gate_for(study, fleet, ramp_s=601.0),
    ]
    verdicts = [gate.check(idle) for gate in gates]
    assert all(verdict.passed for verdict in verdicts)
    assert len({verdict.digest for verdict in verdicts}) == len(gates)
    assert len({verdict.hashes["rules"] for verdict in verdicts}) == len(gates)
    assert {"scipy", "lightsim2grid", "simbench", "pandas"} <= set(versions())


def test_the_engine_is_part_of_the_judgement(
    study: Study, idle: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = study.gate.check(idle).hashes["rules"]
    monkeypatch.setattr(study.power_flow._engine, "name", "another Newton", raising=False)
    assert study.gate.check(idle).hashes["rules"] != before


def test_the_fleet_is_at_rest_after_the_horizon(study: Study, problem: DispatchProblem) -> None:
    values = np.zeros(problem.shape)
    values[:, -1] = 1.0
    step = len(problem.batteries) / 600.0
    gate = gate_for(study, study.built.fleet, fleet_ramp_kw_per_s_max=step * 0.99)
    found = by_check(gate.check(made_plan(problem, values)), Check.FLEET_RAMP)
    instants = problem.grid.instants.astype("datetime64[s]")
    assert [f.at for f in found] == [f"{instants[-2]}Z", f"{instants[-1]}Z"]


def test_the_fleets_ramp_is_limited(study: Study, problem: DispatchProblem) -> None:
    plan = made_plan(problem, evening(problem, np.full(len(problem.batteries), 1.0)))
    step = len(problem.batteries) * 1.0 / 600.0
    calm = gate_for(study, study.built.fleet, fleet_ramp_kw_per_s_max=step * 1.01).check(plan)
    assert by_check(calm, Check.FLEET_RAMP) == []
    brisk = gate_for(study, study.built.fleet, fleet_ramp_kw_per_s_max=step * 0.99).check(plan)
    found = by_check(brisk, Check.FLEET_RAMP)
    starts = plan.problem.grid.starts.astype("datetime64[s]")
    assert [f.at for f in found] == [f"{starts[36]}Z", f"{starts[40]}Z"]
    assert found[0].value == pytest.approx(step)
    slower = gate_for(
        study, study.built.fleet, fleet_ramp_kw_per_s_max=step * 0.99, ramp_s=700.0
    ).check(plan)
    assert by_check(slower, Check.FLEET_RAMP) == []


def test_a_gate_cannot_be_made_without_a_power_flow(study: Study) -> None:
    with pytest.raises(TypeError):
        Gate(study.built.fleet)  # type: ignore[call-arg]
    for absent in (None, object()):
        with pytest.raises(TypeError, match="needs a power flow"):
            Gate(study.built.fleet, absent)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "options", [{"ramp_s": 0.0}, {"ramp_s": float("nan")}, {"fleet_ramp_kw_per_s_max": -1.0}]
)
def test_senseless_options_are_refused(study: Study, options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be above 0"):
        gate_for(study, study.built.fleet, **options)


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_tolerance_is_a_share(share: float) -> None:
    with pytest.raises(ValueError, match="shortfall_kw_share must be a share"):
        Tolerance(shortfall_kw_share=share)


def test_another_fleets_plan_is_refused_by_label(study: Study, idle: Plan) -> None:
    fleet = study.built.fleet
    half = fleet.select(fleet.battery_id[: len(fleet) // 2])
    with pytest.raises(ValueError, match="battery"):
        gate_for(study, half).check(idle)
