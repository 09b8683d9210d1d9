"""The JSON form of a plan: it holds its problem, its proof and the prices behind it."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from optimizer.plan import (
    Breach,
    Certificate,
    Multipliers,
    Plan,
    SolverReport,
    Status,
    StopReason,
)
from optimizer.problem import ProblemError
from optimizer.reading import load_json, problem_from_document
from optimizer.writing import problem_document, target_document
from twins.faults import FaultList
from twins.timegrid import iso

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

PLAN_SCHEMA_VERSION = 1


def plan_document(plan: Plan) -> dict[str, Any]:
    """The JSON content of a plan; it holds its problem. Powers in kW, unrounded."""
    problem = plan.problem
    rows = [_unit_plan(plan, row) for row in range(len(problem.batteries))]
    sessions = problem.batteries.is_session
    return {
        "schema_version": PLAN_SCHEMA_VERSION,
        "status": plan.status.value,
        "stop_reason": plan.stop_reason.value,
        "certificate": None if plan.certificate is None else dataclasses.asdict(plan.certificate),
        "solver": None if plan.solver is None else dataclasses.asdict(plan.solver),
        "breaches": [{**dataclasses.asdict(b), "text": str(b)} for b in plan.breaches],
        "targets": [_target_report(plan, row) for row in range(len(problem.targets))],
        "time": [iso(moment) for moment in problem.grid.instants],
        "batteries": [row for row, session in zip(rows, sessions, strict=True) if not session],
        "sessions": [row for row, session in zip(rows, sessions, strict=True) if session],
        "generators": [
            {"generator_id": name, "p_kw": output.tolist()}
            for name, output in zip(
                problem.generators.generator_id, plan.generation_kw, strict=True
            )
        ],
        "multipliers": _multiplier_lists(plan.multipliers),
        "problem_digest": problem.digest,
        "problem": problem_document(problem),
    }


def _unit_plan(plan: Plan, row: int) -> dict[str, Any]:
    return {
        "battery_id": plan.problem.batteries.battery_id[row],
        "p_kw": (plan.p_charge_kw[row] - plan.p_discharge_kw[row]).tolist(),
        "p_charge_kw": plan.p_charge_kw[row].tolist(),
        "p_discharge_kw": plan.p_discharge_kw[row].tolist(),
        "energy_kwh": plan.energy_kwh[row].tolist(),
        "soc": plan.soc[row].tolist(),
    }


def _target_report(plan: Plan, row: int) -> dict[str, Any]:
    problem, targets = plan.problem, plan.problem.targets
    reached = float(plan.target_energy_kwh[row])
    below = targets.energy_kwh_min[row] - reached
    above = reached - targets.energy_kwh_max[row]
    return {
        "battery_id": problem.batteries.battery_id[targets.battery[row]],
        **target_document(problem, row),
        "energy_kwh": reached,
        "missing_kwh": max(0.0, float(below)),
        "surplus_kwh": max(0.0, float(above)),
        "margin_kwh": max(0.0, float(min(-below, -above))),
    }


def write_plan(plan: Plan, path: str | Path) -> None:
    """Write a plan as JSON; an interrupted write leaves no half of a file behind."""
    path = Path(path)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    text = json.dumps(plan_document(plan), indent=1, allow_nan=False)
    try:
        partial.write_text(text + "\n", encoding="utf-8")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def read_plan(path: str | Path) -> Plan:
    """Read a plan from JSON, with its problem. Its certificate is what was written, not checked.

    Raises:
        ProblemError: the file is no plan, or its problem or its arrays are wrong.
    """
    return plan_from_document(load_json(Path(path)), str(path))


def plan_from_document(content: dict[str, Any], source: str) -> Plan:
    """A plan from its JSON content; see `read_plan`."""
    faults = FaultList(source)
    if content.get("schema_version") != PLAN_SCHEMA_VERSION or "problem" not in content:
        version = content.get("schema_version")
        faults.add("schema_version", version, f"must be a plan of version {PLAN_SCHEMA_VERSION}")
        faults.raise_if_any(ProblemError)
    problem = problem_from_document(content["problem"], f"{source}, its problem")
    if content.get("problem_digest") != problem.digest:
        faults.add("problem_digest", content.get("problem_digest"), "must be that of the problem")
    count, rows = len(problem.grid), [*content.get("batteries", []), *content.get("sessions", [])]
    names = problem.batteries.battery_id
    charge = _powers(rows, names, "battery_id", "p_charge_kw", count, faults)
    discharge = _powers(rows, names, "battery_id", "p_discharge_kw", count, faults)
    energy = _powers(rows, names, "battery_id", "energy_kwh", count + 1, faults)
    generators = content.get("generators", [])
    generator_names = problem.generators.generator_id
    output = _powers(generators, generator_names, "generator_id", "p_kw", count, faults)
    faults.raise_if_any(ProblemError)
    return Plan(
        problem=problem,
        p_charge_kw=charge,
        p_discharge_kw=discharge,
        energy_kwh=energy,
        generation_kw=output,
        status=Status(content["status"]),
        stop_reason=StopReason(content["stop_reason"]),
        breaches=tuple(_breach(row) for row in content.get("breaches", [])),
        multipliers=_multipliers(content.get("multipliers")),
        certificate=_certificate(content.get("certificate")),
        solver=_solver(content.get("solver")),
    )


def _powers(
    rows: list[dict[str, Any]],
    names: tuple[str, ...],
    key: str,
    name: str,
    length: int,
    faults: FaultList,
) -> Floats:
    found = [row.get(key) for row in rows]
    if found != list(names):
        faults.add(key, ", ".join(map(str, found[:5])), "must be the problem's, in its order")
        return np.zeros((len(names), length))
    values = np.zeros((len(names), length))
    for at, row in enumerate(rows):
        try:
            values[at] = np.array(row.get(name), dtype=float)
        except (TypeError, ValueError):
            faults.add(f"{key} {names[at]}, {name}", None, f"must be {length} numbers")
    if not np.isfinite(values).all():
        faults.add(name, "NaN or infinity", "must be finite")
    return values


def _breach(row: dict[str, Any]) -> Breach:
    return Breach(**{field.name: row[field.name] for field in dataclasses.fields(Breach)})


def _certificate(content: dict[str, Any] | None) -> Certificate | None:
    return None if content is None else Certificate(**content)


def _solver(content: dict[str, Any] | None) -> SolverReport | None:
    return None if content is None else SolverReport(**content)


def _multiplier_lists(multipliers: Multipliers | None) -> dict[str, Any] | None:
    """Arrays as lists with their shape; null stands for "no such row"."""
    if multipliers is None:
        return None
    return {
        name: {"shape": values.shape, "values": _or_null(values)}
        for name, values in vars(multipliers).items()
    }


def _or_null(values: Floats) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in values.ravel()]


def _multipliers(content: dict[str, Any] | None) -> Multipliers | None:
    if content is None:
        return None
    return Multipliers(
        **{
            name: np.array(entry["values"], dtype=float).reshape(entry["shape"])
            for name, entry in content.items()
        }
    )
