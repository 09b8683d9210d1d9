"""The JSON form of a plan: it holds its problem, its proof and the prices behind it."""

from __future__ import annotations

import dataclasses
import json
import logging
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ValidationError

from optimizer.borders import faults_from_pydantic, path_text
from optimizer.certificate.prices import no_multipliers
from optimizer.plan import (
    LATER_COLUMNS,
    Audit,
    Breach,
    Certificate,
    Multipliers,
    Plan,
    SolverReport,
)
from optimizer.plan_document import PlanDocument
from optimizer.problem import ProblemError
from optimizer.reading import load_json, problem_from_document
from optimizer.whole_file import whole_file
from optimizer.writing import group_order, problem_document, target_document, target_order
from twins.faults import FaultList
from twins.timegrid import iso

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from optimizer.plan_document import (
        CertificateEntry,
        GeneratorPlan,
        MultiplierTable,
        ReservePlan,
        SolverEntry,
        UnitPlan,
    )
    from optimizer.problem import DispatchProblem

    Floats = npt.NDArray[np.float64]

PLAN_SCHEMA_VERSION = 1
_ROUNDING = 1e-9
_LOG = logging.getLogger(__name__)
_DERIVED = ("time", "batteries", "sessions", "generators", "targets", "breaches")


def plan_document(plan: Plan) -> dict[str, Any]:
    """The JSON content of a plan; it holds its problem. Powers in kW, unrounded."""
    problem = plan.problem
    rows = [_unit_plan(plan, row) for row in range(len(problem.batteries))]
    # Sessions of a problem made in code are batteries in its document.
    sessions = problem.batteries.is_session & (problem.document is not None)
    return {
        "schema_version": PLAN_SCHEMA_VERSION,
        "status": plan.status.value,
        "stop_reason": plan.stop_reason.value,
        "certificate": None if plan.certificate is None else dataclasses.asdict(plan.certificate),
        "solver": None if plan.solver is None else _solver_entry(plan.solver),
        "breaches": [{**dataclasses.asdict(b), "text": str(b)} for b in plan.breaches],
        "targets": [_target_report(plan, row) for row in target_order(problem)],
        "time": [iso(moment) for moment in problem.grid.instants],
        "batteries": [row for row, session in zip(rows, sessions, strict=True) if not session],
        "sessions": [row for row, session in zip(rows, sessions, strict=True) if session],
        "generators": [
            {"generator_id": name, "p_kw": output.tolist()}
            for name, output in zip(
                problem.generators.generator_id, plan.generation_kw, strict=True
            )
        ],
        "reserves": [
            {**_reserve_pair(problem, product, battery), "p_kw": kept.tolist()}
            for (product, battery), kept in zip(
                problem.reserve_pairs.tolist(), plan.reserve_kw, strict=True
            )
        ],
        "multipliers": _multiplier_lists(problem, plan.multipliers),
        **_stored_problem(problem),
    }


def _stored_problem(problem: DispatchProblem) -> dict[str, Any]:
    """The problem, and its digest as it will be read again."""
    content = problem_document(problem)
    if problem.document is not None:
        return {"problem_digest": problem.digest, "problem": content}
    # A document orders groups and targets its own way, which moves the digest.
    return {
        "problem_digest": problem_from_document(content, problem.name).digest,
        "problem": content,
    }


def _solver_entry(solver: SolverReport) -> dict[str, Any]:
    bound = solver.bound if math.isfinite(solver.bound) else None
    return {**dataclasses.asdict(solver), "bound": bound}


def _reserve_pair(problem: DispatchProblem, product: int, battery: int) -> dict[str, str]:
    return {
        "reserve_id": problem.reserves.reserve_id[product],
        "battery_id": problem.batteries.battery_id[battery],
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
    text = json.dumps(plan_document(plan), indent=1, allow_nan=False)
    with whole_file(path) as partial:
        partial.write_text(text + "\n", encoding="utf-8")


def read_plan(path: str | Path) -> Plan:
    """Read a plan from JSON, with its problem. Its certificate is what was written, not checked.

    A problem with another digest than the file gives is noted in the log and read all the same.

    Raises:
        ProblemError: the file is no plan, or its problem or its arrays are wrong.
    """
    content = load_json(Path(path))
    plan = plan_from_document(content, str(path))
    log_digest(content, plan, str(path))
    return plan


def log_digest(content: dict[str, Any], plan: Plan, source: str) -> None:
    """Warn in the log if a plan's problem is not the one that its file was written for.

    Args:
        content: of the file that `plan` was read from.
        plan: as read.
        source: name of the file.
    """
    for doubt in _other_digest(content, plan):
        _LOG.warning("%s: %s", source, doubt)


def _other_digest(content: dict[str, Any], plan: Plan) -> Iterator[str]:
    said, found = str(content["problem_digest"]), plan.problem.digest
    if said != found:
        yield (
            f"the file says problem_digest is {said[:16]}…; it is {found[:16]}…: the problem was "
            "changed after it was planned, or another version of gridsim wrote the file"
        )


def plan_from_document(content: dict[str, Any], source: str) -> Plan:
    """A plan from its JSON content; see `read_plan`."""
    faults = FaultList(source)
    document = _well_formed(content, faults)
    problem = problem_from_document(document.problem, f"{source}, its problem")
    count, units = len(problem.grid), [*document.batteries, *document.sessions]
    names, generator_names = problem.batteries.battery_id, problem.generators.generator_id
    _check_ids("batteries", [unit.battery_id for unit in units], names, faults)
    found = [unit.generator_id for unit in document.generators]
    _check_ids("generators", found, generator_names, faults)
    pairs = [_reserve_pair(problem, *pair) for pair in problem.reserve_pairs.tolist()]
    wanted = [" of ".join(pair.values()) for pair in pairs]
    kept = [f"{pair.reserve_id} of {pair.battery_id}" for pair in document.reserves]
    _check_ids("reserves", kept, wanted, faults)
    plan = Plan(
        problem=problem,
        p_charge_kw=_matrix(units, "p_charge_kw", count, faults),
        p_discharge_kw=_matrix(units, "p_discharge_kw", count, faults),
        energy_kwh=_matrix(units, "energy_kwh", count + 1, faults),
        generation_kw=_matrix(document.generators, "p_kw", count, faults),
        status=document.status,
        stop_reason=document.stop_reason,
        breaches=tuple(Breach(**entry.model_dump()) for entry in document.breaches),
        multipliers=_multipliers(problem, document.multipliers, faults),
        certificate=_certificate(document.certificate),
        solver=_solver(document.solver),
        reserve_kw=_matrix(document.reserves, "p_kw", count, faults),
    )
    faults.raise_if_any(ProblemError)
    return plan


def contradictions(content: dict[str, Any], plan: Plan) -> Iterator[str]:
    """What else a plan file says of its plan and the plan's own arrays do not bear out.

    Args:
        content: of the file that `plan` was read from.
        plan: as read.
    """
    yield from _other_digest(content, plan)
    again = plan_document(plan)
    for name in _DERIVED:
        yield from _differences((name,), content.get(name), again[name])


def _differences(path: tuple[str | int, ...], said: Any, found: Any) -> Iterator[str]:
    if isinstance(found, dict) and isinstance(said, dict):
        for key, value in found.items():
            yield from _differences((*path, key), said.get(key), value)
    elif isinstance(found, list) and isinstance(said, list) and len(found) == len(said):
        for at, value in enumerate(found):
            yield from _differences((*path, at), said[at], value)
    elif isinstance(found, float) and isinstance(said, (int, float)):
        if not abs(said - found) <= _ROUNDING * max(1.0, abs(found)):
            yield f"the file says {path_text(path)} is {said:.9g}; it is {found:.9g}"
    elif said != found:
        yield f"the file says {path_text(path)} is {_brief(said)}; it is {_brief(found)}"


def _brief(value: Any) -> str:
    if isinstance(value, (list, dict)):
        return f"{len(value)} entries"
    return "missing" if value is None else str(value)


def _well_formed(content: dict[str, Any], faults: FaultList) -> PlanDocument:
    try:
        return PlanDocument.model_validate(content)
    except ValidationError as error:
        faults.extend(faults_from_pydantic(error, PlanDocument))
        faults.raise_if_any(ProblemError)
        raise


def _check_ids(where: str, found: Sequence[str], wanted: Sequence[str], faults: FaultList) -> None:
    if list(found) != list(wanted):
        allowed = f"must be the {len(wanted)} of the problem, in its order: {_few(wanted)}"
        faults.add(where, _few(found), allowed)


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + ", …" * (len(names) > 5) or "none"


def _matrix(
    units: Sequence[UnitPlan] | Sequence[GeneratorPlan] | Sequence[ReservePlan],
    name: str,
    length: int,
    faults: FaultList,
) -> Floats:
    rows = [getattr(unit, name) for unit in units]
    for unit, row in zip(units, rows, strict=True):
        if len(row) != length:
            unit_id = getattr(unit, "battery_id", None) or getattr(unit, "generator_id", "")
            faults.add(f"{unit_id}.{name}", f"{len(row)} numbers", f"must be {length} numbers")
    if any(len(row) != length for row in rows):
        return np.zeros((len(rows), length))
    return np.array(rows, dtype=float).reshape(len(rows), length)


def _certificate(entry: CertificateEntry | None) -> Certificate | None:
    return None if entry is None else Certificate(**entry.model_dump())


def _solver(entry: SolverEntry | None) -> SolverReport | None:
    if entry is None:
        return None
    bound = math.nan if entry.bound is None else entry.bound
    audit = None if entry.audit is None else Audit(**entry.audit.model_dump())
    return SolverReport(**{**entry.model_dump(), "bound": bound, "audit": audit})


def _multiplier_lists(
    problem: DispatchProblem, multipliers: Multipliers | None
) -> dict[str, Any] | None:
    """Arrays in the document's order as lists with their shape; null stands for "no such row"."""
    if multipliers is None:
        return None
    order = {"site_price_per_kwh": group_order(problem)}
    order |= dict.fromkeys(("target_min_per_kwh", "target_max_per_kwh"), target_order(problem))
    ordered = {
        n: values[order[n]] if n in order else values for n, values in vars(multipliers).items()
    }
    return {
        name: {"shape": list(values.shape), "values": _or_null(values)}
        for name, values in ordered.items()
        if values.size or name not in LATER_COLUMNS
    }


def _or_null(values: Floats) -> list[float | None]:
    return [value if math.isfinite(value) else None for value in values.ravel().tolist()]


def _multipliers(
    problem: DispatchProblem, tables: dict[str, MultiplierTable] | None, faults: FaultList
) -> Multipliers | None:
    if tables is None:
        return None
    none = vars(no_multipliers(problem))
    wanted = {name: values.shape for name, values in none.items()}
    sound = True
    for name in sorted(wanted.keys() | tables.keys()):
        table = tables.get(name)
        if table is None and name in LATER_COLUMNS:
            continue
        shape = () if table is None else tuple(table.shape)
        fits = table is not None and len(table.values) == math.prod(shape)
        if shape != wanted.get(name) or not fits:
            found = (
                "missing" if table is None else f"shape {list(shape)}, {len(table.values)} numbers"
            )
            allowed = f"must have shape {list(wanted[name])}" if name in wanted else "unknown key"
            faults.add(f"multipliers.{name}", found, allowed)
            sound = False
    if not sound:
        return None
    arrays = {n: np.array(t.values, dtype=float).reshape(t.shape) for n, t in tables.items()}
    return Multipliers(**{**none, **arrays})
