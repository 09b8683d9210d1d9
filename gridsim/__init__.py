"""Plan, prove and dispatch the charging of grid batteries.

Everything in `__all__` is loaded when it is first used, so ``import gridsim`` is fast and needs
nothing but itself. A name whose packages are not installed says which extra brings them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dispatch.gate import Gate as Gate
    from dispatch.verdict import Verdict as Verdict
    from gridsim.grid import Grid as Grid
    from gridsim.grid import PowerFlow as PowerFlow
    from gridsim.grid import find_breaches as find_breaches
    from gridsim.grid import nominal_profiles as nominal_profiles
    from gridsim.grid import simbench_profiles as simbench_profiles
    from gridsim.instances import make_instance as make_instance
    from gridsim.report import plot_explanation as plot_explanation
    from gridsim.run.result import Run as Run
    from gridsim.run.storage import load_run as load_run
    from gridsim.scenario import Scenario as Scenario
    from gridsim.scenario import load_scenario as load_scenario
    from gridsim.scenario import shipped_scenarios as shipped_scenarios
    from gridsim.study.study import Study as Study
    from optimizer.certificate import certify as certify
    from optimizer.horizon import HorizonTest as HorizonTest
    from optimizer.horizon import horizon_test as horizon_test
    from optimizer.plan import Certificate as Certificate
    from optimizer.plan import Plan as Plan
    from optimizer.plan_file import read_plan as read_plan
    from optimizer.plan_file import write_plan as write_plan
    from optimizer.problem import DispatchProblem as DispatchProblem
    from optimizer.reading import read_problem as read_problem
    from optimizer.replan import Replanned as Replanned
    from optimizer.replan import replan_group as replan_group
    from optimizer.rolling import RollingOptions as RollingOptions
    from optimizer.rolling import RollingSolver as RollingSolver
    from optimizer.rounding import in_whole_watts as in_whole_watts
    from optimizer.solve import solve as solve
    from twins.fleet import BatterySpec as BatterySpec
    from twins.fleet import Fleet as Fleet
    from twins.projection import project_ageing as project_ageing
    from twins.replaying import replay as replay
    from twins.technology import TECHNOLOGIES as TECHNOLOGIES
    from twins.technology import Technology as Technology
    from twins.technology import technology_from_mapping as technology_from_mapping
    from twins.timegrid import TimeGrid as TimeGrid
    from twins.uncertainty import Uncertainty as Uncertainty

# Where each public name lives. Type checkers read the imports above; a test keeps the two alike.
_HOMES = {
    "TECHNOLOGIES": "twins.technology",
    "BatterySpec": "twins.fleet",
    "Certificate": "optimizer.plan",
    "DispatchProblem": "optimizer.problem",
    "Fleet": "twins.fleet",
    "Gate": "dispatch.gate",
    "Grid": "gridsim.grid",
    "HorizonTest": "optimizer.horizon",
    "Plan": "optimizer.plan",
    "PowerFlow": "gridsim.grid",
    "Replanned": "optimizer.replan",
    "RollingOptions": "optimizer.rolling",
    "RollingSolver": "optimizer.rolling",
    "Run": "gridsim.run.result",
    "Scenario": "gridsim.scenario",
    "Study": "gridsim.study.study",
    "Technology": "twins.technology",
    "TimeGrid": "twins.timegrid",
    "Uncertainty": "twins.uncertainty",
    "Verdict": "dispatch.verdict",
    "certify": "optimizer.certificate",
    "find_breaches": "gridsim.grid",
    "horizon_test": "optimizer.horizon",
    "in_whole_watts": "optimizer.rounding",
    "load_run": "gridsim.run.storage",
    "load_scenario": "gridsim.scenario",
    "make_instance": "gridsim.instances",
    "nominal_profiles": "gridsim.grid",
    "plot_explanation": "gridsim.report",
    "project_ageing": "twins.projection",
    "read_plan": "optimizer.plan_file",
    "read_problem": "optimizer.reading",
    "replan_group": "optimizer.replan",
    "replay": "twins.replaying",
    "shipped_scenarios": "gridsim.scenario",
    "simbench_profiles": "gridsim.grid",
    "solve": "optimizer.solve",
    "technology_from_mapping": "twins.technology",
    "write_plan": "optimizer.plan_file",
}

__all__ = [
    "TECHNOLOGIES",
    "BatterySpec",
    "Certificate",
    "DispatchProblem",
    "Fleet",
    "Gate",
    "Grid",
    "HorizonTest",
    "Plan",
    "PowerFlow",
    "Replanned",
    "RollingOptions",
    "RollingSolver",
    "Run",
    "Scenario",
    "Study",
    "Technology",
    "TimeGrid",
    "Uncertainty",
    "Verdict",
    "certify",
    "find_breaches",
    "horizon_test",
    "in_whole_watts",
    "load_run",
    "load_scenario",
    "make_instance",
    "nominal_profiles",
    "plot_explanation",
    "project_ageing",
    "read_plan",
    "read_problem",
    "replan_group",
    "replay",
    "shipped_scenarios",
    "simbench_profiles",
    "solve",
    "technology_from_mapping",
    "write_plan",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'gridsim' has no attribute {name!r}")
    try:
        value = getattr(importlib.import_module(home), name)
    except ModuleNotFoundError as missing:
        raise _advised(name, home, missing) from missing
    globals()[name] = value  # the next access does not come here
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _advised(name: str, home: str, missing: ModuleNotFoundError) -> ImportError:
    """The error that names the extra; if a module of our own is missing, that is a bug."""
    absent = (missing.name or "").partition(".")[0]
    package, _, rest = home.partition(".")
    if absent in {"", "gridsim", "dispatch", "optimizer", "twins", "edge"}:
        return missing
    extra = "grid" if package == "gridsim" and rest.partition(".")[0] == "grid" else package
    return ImportError(
        f"gridsim.{name} needs {absent}, which is not installed; "
        f'the extra {extra!r} brings it: pip install "gridsim[{extra}]"',
        name=absent,
    )
