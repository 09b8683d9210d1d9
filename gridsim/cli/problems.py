"""`gridsim solve` and `gridsim verify`: dispatch problems and plans as JSON files."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from gridsim.cli.console import EXIT_REFUSED, guarded, out, print_json
from gridsim.cli.places import file_to_write
from gridsim.run.machine import peak_memory_mb
from optimizer.certificate import BY_MULTIPLIERS, TOLERANCE, certify, check
from optimizer.plan import Certificate
from optimizer.plan_file import contradictions, plan_from_document, write_plan
from optimizer.reading import load_json, read_problem
from optimizer.solve import Solver
from optimizer.solve import solve as solve_problem

if TYPE_CHECKING:
    from optimizer.plan import Audit, Plan
    from optimizer.rounding import Resolution

DOUBTS_SHOWN_MAX = 20
CERTIFICATE_TOLERANCE = 1e-9
"""A stored certificate may differ from the recomputed one by rounding alone, relative."""


@guarded
def solve(
    problem: Annotated[Path, typer.Argument(help="A problem file (`gridsim schema problem`).")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write the plan to this JSON file.")
    ] = None,
    strict: Annotated[
        bool, typer.Option(help="Fail where a firm limit or target cannot be kept, and name it.")
    ] = False,
    gap: Annotated[float, typer.Option(min=0.0, help="Relative gap to stop at.")] = 1e-6,
    time_limit: Annotated[
        float | None, typer.Option(min=0.001, help="Seconds after which to stop.")
    ] = None,
    audit: Annotated[
        bool, typer.Option(help="Solve a drawn area of a large plan as the Pyomo model too.")
    ] = True,
    solver: Annotated[
        Solver, typer.Option(help="auto takes the structured solver for large fleets.")
    ] = "auto",
    resolution_w: Annotated[
        int | None, typer.Option(min=1, max=1, help="1: every power in whole watts.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Solve a dispatch problem from a JSON file.

    The plan file holds its problem and its proof; its powers are not rounded unless that is asked.
    """
    file_to_write(output)
    plan = solve_problem(
        read_problem(problem),
        strict=strict,
        gap=gap,
        time_limit_s=time_limit,
        audit=audit,
        solver=solver,
        resolution_w=whole_watts(resolution_w),
    )
    if output is not None:
        write_plan(plan, output)
    if json:
        print_json(_summary(plan))
    else:
        _print_plan(plan)


@guarded
def verify(
    plan: Annotated[Path, typer.Argument(help="A plan file.")],
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check a saved plan: rules, cost and bound anew.

    Nothing but the plan file is needed. The exit code is 0 only if the plan keeps every rule that
    it claims to keep and the file says nothing of it that does not follow from it. The bound and
    the gap that are shown follow from the multipliers alone; where the file's own bound is its
    solver's word, that is said, and it counts neither for the plan nor against it.
    """
    content = load_json(plan)
    stored = plan_from_document(content, str(plan))
    certificate, by_word = certify(stored), certify(stored, trust_solver=True)
    bound_proven = by_word.bound_source == BY_MULTIPLIERS
    violations = [str(violation) for violation in check(stored)]
    doubts = [*_doubts(stored.certificate, by_word), *contradictions(content, stored)]
    holds = not doubts and certificate.worst_violation <= TOLERANCE
    notes = [] if bound_proven else [_unproven(by_word)]
    if json:
        content = {"holds": holds, "bound_proven": bound_proven}
        content |= {"violations": violations, "doubts": doubts, "notes": notes}
        print_json({**content, **dataclasses.asdict(certificate)})
    else:
        _print_certificate(certificate, stored.problem.currency)
        for note in notes:
            out.print(note, style="yellow", markup=False)
        lines = [*violations, *doubts]
        for line in lines[:DOUBTS_SHOWN_MAX]:
            out.print(line, style="red", markup=False)
        if len(lines) > DOUBTS_SHOWN_MAX:
            out.print(f"… and {len(lines) - DOUBTS_SHOWN_MAX} more", style="red")
        out.print("the plan holds" if holds else "the plan does not hold")
    if not holds:
        raise typer.Exit(EXIT_REFUSED)


def whole_watts(resolution_w: int | None) -> Resolution:
    """The option as the solver takes it."""
    return None if resolution_w is None else 1


def _unproven(by_word: Certificate) -> str:
    return (
        f"the file's bound of {by_word.profit_bound:,.4f} on the profit rests on branch and bound "
        "and cannot be proven from the file; the bound and the gap above are what it does prove"
    )


def _doubts(stored: Certificate | None, recomputed: Certificate) -> list[str]:
    """What the file says of the plan and the plan does not bear out."""
    if stored is None:
        return []
    doubts = []
    for field in dataclasses.fields(Certificate):
        said, found = getattr(stored, field.name), getattr(recomputed, field.name)
        if isinstance(found, str):
            if said != found:
                doubts.append(f"the file says {field.name} is {said}; it is {found}")
        elif not abs(said - found) <= CERTIFICATE_TOLERANCE * max(1.0, abs(found)):
            doubts.append(f"the file says {field.name} is {said:.9g}; it is {found:.9g}")
    return doubts


def _summary(plan: Plan) -> dict[str, Any]:
    assert plan.certificate is not None
    assert plan.solver is not None
    return {
        "status": plan.status.value,
        "stop_reason": plan.stop_reason.value,
        **dataclasses.asdict(plan.certificate),
        "breaches": [{**dataclasses.asdict(b), "text": str(b)} for b in plan.breaches],
        "seconds": dict(plan.solver.seconds),
        "solver": plan.solver.name,
        "why": plan.solver.why,
        "resolution_w": plan.solver.resolution_w,
        "cells_left": plan.solver.cells_left,
        "binaries": plan.solver.binaries,
        "audit": _audit_summary(plan.solver.audit),
        "peak_memory_mb": peak_memory_mb(),
        "problem_digest": plan.problem.digest,
    }


def _audit_summary(audit: Audit | None) -> dict[str, Any] | None:
    if audit is None:
        return None
    return {**dataclasses.asdict(audit), "difference": audit.difference}


def _print_plan(plan: Plan) -> None:
    batteries, intervals = plan.problem.shape
    out.print(
        f"{plan.problem.name}: {_counted(batteries, 'battery', 'batteries')}, "
        f"{_counted(intervals, 'interval', 'intervals')}",
        markup=False,
    )
    out.print(f"{plan.status.value}; stopped: {plan.stop_reason.value}")
    assert plan.certificate is not None
    _print_certificate(plan.certificate, plan.problem.currency)
    for breach in plan.breaches[:DOUBTS_SHOWN_MAX]:
        word = "broken" if breach.is_firm else "paid for"
        out.print(f"{word}: {breach}", style="yellow", markup=False)
    if len(plan.breaches) > DOUBTS_SHOWN_MAX:
        out.print(f"… and {len(plan.breaches) - DOUBTS_SHOWN_MAX} more", style="yellow")
    if plan.solver is not None:
        phases = ", ".join(f"{name} {took:.2f} s" for name, took in plan.solver.seconds.items())
        out.print(f"{plan.solver.name} ({plan.solver.why}); {phases}", markup=False)
        if plan.solver.resolution_w is not None:
            left = plan.solver.cells_left
            rest = f", but for {_counted(left, 'power', 'powers')} that cannot be" if left else ""
            out.print(f"powers in whole watts{rest}")
        if plan.solver.audit is not None:
            style = "green" if plan.solver.audit.agrees else "red"
            out.print(f"audit: {plan.solver.audit}", style=style, markup=False)


def _counted(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"


def _penalty_row(certificate: Certificate, currency: str) -> list[tuple[str, str]]:
    """What of the cost is no money, where it is more than rounding."""
    if round(certificate.penalty, 4) == 0.0:
        return []
    return [(f"  of it for firm rules broken [{currency}]", f"{certificate.penalty:,.4f}")]


def _print_certificate(certificate: Certificate, currency: str) -> None:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for label, value in (
        (f"cost [{currency}]", f"{certificate.cost:,.4f}"),
        *_penalty_row(certificate, currency),
        (f"cost of doing nothing [{currency}]", f"{certificate.cost_idle:,.4f}"),
        (f"profit [{currency}]", f"{certificate.profit:,.4f}"),
        (f"profit at most [{currency}]", f"{certificate.profit_bound:,.4f}"),
        ("gap between the two", f"{certificate.gap:.4%}"),
        ("worst violation of a rule", f"{certificate.worst_violation:.1e}"),
        ("bound from", certificate.bound_source),
    ):
        table.add_row(label.replace("[", r"\["), value)
    out.print(table)
