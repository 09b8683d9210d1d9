"""gridsim itself: its structured solvers, or its Pyomo model with HiGHS (``solver="monolith"``).

The problem is made again from the instance's recipe. Compiled code is loaded by solving a small
problem first; its time is a phase of its own.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from benchmarks.peers.exchange import Answer, contest
from benchmarks.peers.instance import Recipe
from optimizer.solve import solve

if TYPE_CHECKING:
    from benchmarks.peers.exchange import Instance

WARM_UP_BATTERIES = 120


def plan(instance: Instance, answer: Answer, options: dict[str, Any]) -> None:
    recipe = Recipe(**json.loads(instance.recipe))
    problem = recipe.problem()
    asked = {"solver": options["solver"], "gap": options["gap"], "audit": options["audit"]}
    with answer.phase("compile"):
        small = replace(recipe, batteries=min(recipe.batteries, WARM_UP_BATTERIES))
        if options["solver"] != "monolith":
            solve(small.problem(), **{**asked, "solver": "structured"})
        solve(replace(small, discrete=0.0).problem(), **{**asked, "solver": "monolith"})
    found = solve(problem, time_limit_s=options["time_limit_s"], **asked)
    assert found.solver is not None
    assert found.certificate is not None
    answer.seconds.update(found.solver.seconds)
    answer.give(found.p_charge_kw, found.p_discharge_kw)
    answer.bound = found.certificate.profit_bound
    answer.note = f"{found.solver.name}; {found.solver.why}"


if __name__ == "__main__":
    contest(plan, "gridsim", "numpy", "numba", "pyomo", "highspy")
