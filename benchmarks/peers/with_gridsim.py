"""gridsim itself: its structured solvers, or its Pyomo model with HiGHS (``solver="monolith"``).

The problem is made again from the instance's recipe. Code is loaded and compiled by solving a small
problem first; its time is a phase of its own, and no part of the seconds.
"""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from benchmarks.peers.exchange import Answer, contest, end_after
from benchmarks.peers.instance import Recipe
from optimizer.solve import solve

if TYPE_CHECKING:
    from benchmarks.peers.exchange import Instance

WARM_UP_BATTERIES = 60
COMPILE_S = 280.0


def plan(instance: Instance, answer: Answer, options: dict[str, Any]) -> None:
    recipe = Recipe(**json.loads(instance.recipe))
    problem = recipe.problem()
    asked = {"solver": options["solver"], "gap": options["gap"], "audit": False}
    end_after(COMPILE_S)
    with answer.phase("compile"):
        # A branch and bound may not end, and the model needs no discrete batteries to be loaded.
        discrete = recipe.discrete if options["solver"] == "structured" else 0.0
        small = replace(recipe, batteries=WARM_UP_BATTERIES, discrete=discrete)
        solve(small.problem(), **asked)
    end_after(options["time_limit_s"])
    started = time.perf_counter()
    found = solve(problem, time_limit_s=options["time_limit_s"], **asked)
    assert found.solver is not None
    assert found.certificate is not None
    answer.seconds |= _phases(found.solver.seconds, time.perf_counter() - started)
    answer.give(found.p_charge_kw, found.p_discharge_kw)
    answer.bound = found.certificate.profit_bound


def _phases(stated: dict[str, float], taken: float) -> dict[str, float]:
    """Phases that add up to the time taken; what a solver states besides is part of `solve`."""
    outside = {name: stated.get(name, 0.0) for name in ("build", "extract", "certify")}
    inside = stated.keys() - outside.keys() - {"solve"}
    within = {f"solve.{name}": stated[name] for name in sorted(inside)}
    return outside | within | {"solve": taken - sum(outside.values())}


if __name__ == "__main__":
    contest(plan, "gridsim", "numpy", "numba", "pyomo", "highspy")
