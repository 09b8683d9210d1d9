"""From a finished study to its `Run`: figures for a reader, arrays for a program."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import platform
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from dispatch.gate import versions
from gridsim.run.machine import peak_memory_mb
from gridsim.run.result import RUN_SCHEMA_VERSION, Run
from gridsim.study.accounts import account, self_consumption
from optimizer.certificate import cost_of
from optimizer.certificate.certify import gap_scale
from twins.timegrid import iso

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dispatch import Finding
    from gridsim.study.loop import Outcome
    from gridsim.study.study import Study
    from optimizer.plan import Plan

_FLOW_NAMES = (
    "v_pu", "line_loading", "transformer_loading", "losses_kw", "p_exchange_kw",
)  # fmt: skip
_PROOF = (
    "profit", "profit_bound", "gap", "gap_absolute", "worst_violation", "bound_source",
)  # fmt: skip
_BREACH_KINDS = ("bus", "line", "transformer", "flow")


@dataclasses.dataclass(frozen=True, eq=False)
class _PriceOnly:
    """What a plan by price alone would have done."""

    plan: Plan
    lived: xr.Dataset
    flow: xr.Dataset


def assemble(study: Study, outcome: Outcome, price_only: Plan, started: float) -> Run:
    """The run of a study.

    Args:
        study: the scenario in memory.
        outcome: the last plan and its verdict.
        price_only: the plan by price alone, for comparison.
        started: `time.perf_counter` at the start of the run.
    """
    alone = _price_only(study, price_only)
    data = _dataset(study, outcome, alone)
    summary = _summary(study, outcome, alone, data)
    summary["seconds"]["total"] = time.perf_counter() - started + study.load_seconds
    return Run(
        name=study.built.scenario.name,
        summary=summary,
        data=data,
        plan=outcome.plan,
        scenario_text=study.scenario_text,
    )


def _price_only(study: Study, plan: Plan) -> _PriceOnly:
    lived = study.replay(plan)
    flow = study.power_flow.flow(lived["p_kw"])
    return _PriceOnly(plan, lived, flow)


def _breach_counts(study: Study, flow: xr.Dataset) -> dict[str, int]:
    """Limits that a flow breaks, whoever is to blame, and intervals without a solution."""
    kinds = study.carrier.breaches(flow, study.power_flow.baseline).kind
    return {kind: int((kinds == kind).sum()) for kind in _BREACH_KINDS}


# Figures -------------------------------------------------------------------------------------


def _summary(study: Study, outcome: Outcome, alone: _PriceOnly, data: xr.Dataset) -> dict[str, Any]:
    built, verdict, plan = study.built, outcome.verdict, outcome.plan
    certificate, solver = plan.certificate, plan.solver
    assert certificate is not None
    assert solver is not None
    lived = verdict.evidence.nominal
    costs = _costs(study, plan, lived, alone)
    return {
        "schema_version": RUN_SCHEMA_VERSION,
        "scenario": built.scenario.name,
        "day": built.scenario.horizon.day,
        "start": iso(built.time_grid.instants[0]),
        "end": iso(built.time_grid.instants[-1]),
        "intervals": len(built.time_grid),
        "currency": built.scenario.currency,
        "sites": built.sites.sizes["site"],
        "batteries": len(built.fleet),
        "energy_kwh": float(built.fleet.capacity_kwh.sum()),
        "power_kw": float(built.fleet.p_kw_rated.sum()),
        "verdict": verdict.word,
        "findings": _plain_findings(verdict.findings),
        "preexisting": _plain_findings(verdict.preexisting),
        "finding_counts": dict(outcome.rounds[-1].findings),
        "rounds": [
            {"round": at, **dataclasses.asdict(turn)}
            for at, turn in enumerate(outcome.rounds, start=1)
        ],
        **costs,
        "equivalent_cycles": float(lived["equivalent_full_cycles"].mean()),
        "voltage_pu": {
            "lowest": _extremes(data, "v_pu", np.nanmin),
            "highest": _extremes(data, "v_pu", np.nanmax),
        },
        "loading": {
            "line": _extremes(data, "line_loading", np.nanmax),
            "transformer": _extremes(data, "transformer_loading", np.nanmax),
        },
        "breaches": {
            "plan": _breach_counts(study, verdict.evidence.flow),
            "without": _breach_counts(study, verdict.evidence.baseline),
            "price_only": _breach_counts(study, alone.flow),
        },
        **{name: getattr(certificate, name) for name in _PROOF},
        "profit_bound_ratings": outcome.rated_bound,
        "share_of_ratings_bound": _share_of_ratings(outcome),
        "worst_grid_excess": outcome.rounds[-1].worst,
        "gap_any_plan": _gap_any_plan(plan, alone.plan),
        "status": plan.status.value,
        "stop_reason": plan.stop_reason.value,
        "solver": solver.name,
        "resolution_w": solver.resolution_w,
        "cells_left": solver.cells_left,
        "seconds": _seconds(study, outcome),
        "compile_seconds": study.compile_seconds,
        "peak_memory_mb": peak_memory_mb(),
        "hashes": {
            **verdict.hashes,
            "verdict": verdict.digest,
            "scenario": hashlib.sha256(study.scenario_text.encode()).hexdigest(),
            **study.data_hashes,
        },
        "versions": versions(),
        "seed": study.seed,
        "machine": {
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "platform": f"{platform.system()} {platform.machine()}",
        },
    }


def _costs(study: Study, plan: Plan, lived: xr.Dataset, alone: _PriceOnly) -> dict[str, Any]:
    """Costs of the participating sites, from what the twins did."""
    built, problem = study.built, alone.plan.problem
    rest = xr.zeros_like(plan.p_kw)
    rule = study.lived(self_consumption(built))
    idle = account(problem, study.lived(rest))
    planned, ruled = account(problem, lived), account(problem, rule)
    by_price = account(problem, alone.lived)
    # Standby loss is the battery's own doing: a site without a battery pays for energy alone.
    without = account(problem, _as_if_no_battery(lived)).total
    return {
        "cost": {
            "no_battery": without,
            "idle": idle.total,
            "self_consumption": ruled.total,
            "plan": planned.total,
            "plan_as_planned": account(problem, _as_planned(plan)).total,
            "price_only": by_price.total,
        },
        "saving_percent": {
            "no_battery": _percent(without, planned.total),
            "self_consumption": _percent(ruled.total, planned.total),
        },
        "wear": planned.wear,
        "energy_missing_cost": planned.energy_missing,
    }


def _as_planned(plan: Plan) -> xr.Dataset:
    """The plan as if the twins had done all of it: no price on a target is part of a cost."""
    return xr.Dataset(
        {
            "p_kw": (("battery", "time"), plan.p_charge_kw - plan.p_discharge_kw),
            "energy_kwh": (("battery", "instant"), plan.energy_kwh),
        }
    )


def _as_if_no_battery(lived: xr.Dataset) -> xr.Dataset:
    energy = lived["energy_kwh"]
    return xr.Dataset(
        {
            "p_kw": xr.zeros_like(lived["p_kw"]),
            "energy_kwh": xr.ones_like(energy) * energy.isel(instant=0),
        }
    )


def _percent(before: float, after: float) -> float:
    """Saving against `before`, in percent of its size."""
    return 100.0 * (before - after) / max(abs(before), 1e-9)


def _extremes(data: xr.Dataset, name: str, pick: Any) -> dict[str, float | None]:
    found = {}
    for key, suffix in (("plan", ""), ("without", "_without"), ("price_only", "_price_only")):
        values = data[name + suffix].to_numpy()
        found[key] = float(pick(values)) if np.isfinite(values).any() else None
    return found


def _plain_findings(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    return [{**dataclasses.asdict(f), "check": f.check.value} | _finite(f) for f in findings]


def _finite(finding: Finding) -> dict[str, float | None]:
    """Figures as JSON can carry them: a flow that did not converge has none."""
    names = ("value", "limit", "without_batteries")
    figures = {name: getattr(finding, name) for name in names}
    return {name: v if v is not None and np.isfinite(v) else None for name, v in figures.items()}


def _seconds(study: Study, outcome: Outcome) -> dict[str, float]:
    """Phases summed over all rounds; `to_verdict` is the way from the problem to the verdict,
    `prove` what came after it."""
    names = (
        "build", "solve", "extract", "certify", "round", "power_flow", "linearise", "replay",
        "judge",
    )  # fmt: skip
    phases = {name: sum(turn.seconds.get(name, 0.0) for turn in outcome.rounds) for name in names}
    solver = outcome.plan.solver
    after = dict(solver.seconds) if solver else {}
    phases["prove"] = after.get("prove", 0.0) + after.get("audit", 0.0)
    to_verdict = sum(turn.seconds["total"] for turn in outcome.rounds)
    return {"load": study.load_seconds, **phases, "to_verdict": to_verdict}


def _share_of_ratings(outcome: Outcome) -> float | None:
    """What the plan earns of what the transformers' ratings alone would allow at most; None where
    nothing can be earned."""
    certificate = outcome.plan.certificate
    assert certificate is not None
    return certificate.profit / outcome.rated_bound if outcome.rated_bound > 0 else None


def _gap_any_plan(plan: Plan, price_only: Plan) -> float:
    """How far `plan` is at most from any plan that the grid could carry.

    The problem without the grid allows every plan that any round of cuts allows, so what is proven
    of it bounds them all. The plan is accounted in that problem, so that the two compare.
    """
    problem, certificate = price_only.problem, price_only.certificate
    assert certificate is not None
    powers = (plan.p_charge_kw, plan.p_discharge_kw, plan.generation_kw)
    profit = certificate.cost_idle - cost_of(problem, *powers).total
    missing = max(certificate.profit_bound - profit, 0.0)
    return missing / gap_scale(problem, *powers)


# Arrays --------------------------------------------------------------------------------------


def _dataset(study: Study, outcome: Outcome, alone: _PriceOnly) -> xr.Dataset:
    built, plan = study.built, outcome.plan
    lived = outcome.verdict.evidence.nominal
    by_battery = ("battery", "time")
    variables: dict[str, Any] = {
        "p_plan_kw": (by_battery, plan.p_charge_kw - plan.p_discharge_kw, _units("kW")),
        "p_charge_kw": (by_battery, plan.p_charge_kw, _units("kW")),
        "p_discharge_kw": (by_battery, plan.p_discharge_kw, _units("kW")),
        "energy_plan_kwh": (("battery", "instant"), plan.energy_kwh, _units("kWh")),
        "p_price_only_kw": (by_battery, alone.lived["p_kw"].to_numpy(), _units("kW")),
        "price_import_per_kwh": (
            "time",
            built.prices["price_import_per_kwh"].to_numpy(),
            _price(study),
        ),
        "price_export_per_kwh": (
            "time",
            built.prices["price_export_per_kwh"].to_numpy(),
            _price(study),
        ),
        "load_kw": (("site", "time"), built.sites["load_kw"].to_numpy(), _units("kW")),
        "generation_kw": (("site", "time"), built.sites["generation_kw"].to_numpy(), _units("kW")),
        "battery_site": ("battery", built.fleet.site_id.tolist()),
        "site_bus": ("site", built.sites["bus"].to_numpy().tolist()),
    }
    for name in ("p_kw", "energy_kwh", "soc"):
        variables[name] = (lived[name].dims, lived[name].to_numpy(), dict(lived[name].attrs))
    variables |= _grid_variables(study, outcome, alone)
    coords = {
        "battery": [str(name) for name in built.fleet.battery_id],
        "site": built.sites["site"].to_numpy().tolist(),
        **built.time_grid.coords(),
    }
    data = xr.Dataset(variables, coords)
    data.attrs = {"title": f"gridsim run of {built.scenario.name}", "time_zone": "UTC"}
    return data


def _grid_variables(study: Study, outcome: Outcome, alone: _PriceOnly) -> dict[str, Any]:
    grid, evidence = study.built.grid, outcome.verdict.evidence
    flows = {"": evidence.flow, "_without": evidence.baseline, "_price_only": alone.flow}
    variables: dict[str, Any] = {
        f"{name}{suffix}": flow[name] for suffix, flow in flows.items() for name in _FLOW_NAMES
    }
    buses, lines, transformers = grid.buses, grid.lines, grid.transformers
    return variables | {
        "v_pu_min": ("bus", buses.v_pu_min, _units("1")),
        "v_pu_max": ("bus", buses.v_pu_max, _units("1")),
        "line_loading_max": ("line", lines.loading_max, _units("1")),
        "transformer_loading_max": ("transformer", transformers.loading_max, _units("1")),
        "bus_x": ("bus", buses.x, _units("degree")),
        "bus_y": ("bus", buses.y, _units("degree")),
        "bus_kv": ("bus", buses.vn_kv, _units("kV")),
        "line_from": ("line", list(lines.from_bus)),
        "line_to": ("line", list(lines.to_bus)),
        "transformer_hv": ("transformer", list(transformers.hv_bus)),
        "transformer_lv": ("transformer", list(transformers.lv_bus)),
    }


def _units(units: str) -> dict[str, str]:
    return {"units": units}


def _price(study: Study) -> dict[str, str]:
    return _units(f"{study.built.scenario.currency}/kWh")
