"""A study: one scenario over one horizon, from its file to a validated plan."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import yaml

from dispatch import Gate, Tolerance
from gridsim.grid import PowerFlow
from gridsim.scenario import load_scenario
from gridsim.scenario.built import build
from gridsim.study.assemble import assemble
from gridsim.study.carrier import GridCarrier
from gridsim.study.loop import plan_within_grid
from gridsim.study.ratings import AreaBounds
from gridsim.study.shaping import dispatch_problem
from optimizer.solve import solve
from twins import Uncertainty, replay

if TYPE_CHECKING:
    import xarray as xr

    from dispatch import Verdict
    from gridsim.run.result import Run
    from gridsim.scenario import Scenario
    from gridsim.scenario.built import BuiltScenario
    from gridsim.study.loop import Progress
    from optimizer.plan import Plan
    from optimizer.problem import DispatchProblem


def _silent(_: str) -> None:
    """Progress that nobody watches."""


@dataclass(frozen=True, eq=False)
class Study:
    """A scenario with its grid, profiles, prices and fleet in memory.

    Make one with `Study.load`. Nothing in it changes; planning twice gives the same plan.

    Attributes:
        built: the scenario's arrays.
        load_seconds: what it took to load them.
    """

    built: BuiltScenario
    load_seconds: float = field(default=0.0)

    @classmethod
    def load(
        cls,
        scenario: str | Path | Scenario,
        *,
        day: str | None = None,
        start: str | None = None,
    ) -> Study:
        """Load a scenario: the name of a shipped one, a file, or one that is loaded already.

        Args:
            scenario: what to load.
            day: another local day than the file's, e.g. "2023-06-12".
            start: another first moment with its offset, instead of a day.

        Raises:
            ScenarioError: anything in the file or in what it names is wrong; all of it is named.
        """
        clock = time.perf_counter()
        loaded = load_scenario(scenario) if isinstance(scenario, (str, Path)) else scenario
        built = build(loaded, day=day, start=start)
        return cls(built, time.perf_counter() - clock)

    @cached_property
    def scenario_text(self) -> str:
        """The scenario with every default filled in, as YAML; files relative to its folder."""
        content = self.built.scenario.as_portable_mapping()
        return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)

    @cached_property
    def data_hashes(self) -> dict[str, str]:
        """sha256 of each file that the scenario names, by key such as ``prices.csv``."""
        files = self.built.scenario.data_files()
        return {key: hashlib.sha256(path.read_bytes()).hexdigest() for key, path in files.items()}

    @property
    def seed(self) -> int | None:
        """Seed of the fleet's draws; None for a fleet that a file lists."""
        rule = self.built.scenario.fleet.rule
        return None if rule is None else rule.seed

    @cached_property
    def compile_seconds(self) -> float:
        """Compiles the twins' kernels, once a process, and says what that took."""
        clock = time.perf_counter()
        one = self.built.fleet.select(self.built.fleet.battery_id[:1])
        replay(one, self.built.time_grid, np.zeros((1, len(self.built.time_grid))))
        return time.perf_counter() - clock

    @cached_property
    def power_flow(self) -> PowerFlow:
        """The grid with the scenario's profiles, and the batteries at their buses."""
        fleet = self.built.fleet
        places = dict(zip(map(str, fleet.battery_id), self.built.battery_bus, strict=True))
        return PowerFlow(self.built.grid, self.built.profiles, places)

    @cached_property
    def ratings(self) -> AreaBounds:
        """What the transformers' ratings let the areas' batteries do."""
        return AreaBounds.from_ratings(self.built.grid, self.built.profiles)

    @cached_property
    def carrier(self) -> GridCarrier:
        """The grid as the gate wants it."""
        return GridCarrier(self.power_flow)

    @cached_property
    def gate(self) -> Gate:
        """The gate for this fleet on this grid."""
        rules = self.built.scenario.gate
        options = rules.uncertainty
        uncertainty = None
        if options.count:
            uncertainty = Uncertainty(
                count=options.count + 1,  # scenario 0 is the stated fleet
                seed=options.seed,
                capacity_std=options.capacity_sd,
                efficiency_std=options.efficiency_sd,
                soc_initial_std=options.soc_initial_sd,
            )
        return Gate(
            self.built.fleet,
            self.carrier,
            tolerance=Tolerance(**rules.tolerance.model_dump()),
            uncertainty=uncertainty,
            temperature_ambient_c=rules.temperature_ambient_c,
            fleet_ramp_kw_per_s_max=rules.fleet_ramp_kw_per_s_max,
            ramp_s=rules.ramp_s,
        )

    def problem(self, *, grid_limits: bool = True) -> DispatchProblem:
        """The dispatch problem, with the transformers' ratings as limits or by price alone."""
        return dispatch_problem(self.built, self.ratings if grid_limits else None)

    def plan(self, *, grid_limits: bool = True) -> Plan:
        """The best plan for `problem`; not yet checked by anything."""
        options = self.built.scenario.optimiser
        problem = self.problem(grid_limits=grid_limits)
        return solve(problem, gap=options.gap_max, time_limit_s=options.time_limit_s)

    def replay(self, plan: Plan) -> xr.Dataset:
        """What the twins make of a plan."""
        return self.lived(plan.p_kw)

    def lived(self, p_kw: xr.DataArray) -> xr.Dataset:
        """What the twins make of these powers, in the scenario's ambient temperature."""
        return replay(
            self.built.fleet,
            self.built.time_grid,
            p_kw,
            temperature_ambient_c=self.built.scenario.gate.temperature_ambient_c,
        )

    def validate(self, plan: Plan) -> Verdict:
        """The gate's verdict on a plan."""
        return self.gate.check(plan)

    def run(self, report: Progress = _silent) -> Run:
        """Plan within the grid, check and account: the whole of it.

        Args:
            report: is told in words what happens.
        """
        report(f"kernels ready after {self.compile_seconds:.1f} s")
        clock = time.perf_counter()
        outcome = plan_within_grid(self.built, self.gate, self.carrier, self.ratings, report)
        report("price-only plan, for comparison")
        price_only = self.plan(grid_limits=False)
        run = assemble(self, outcome, price_only, clock)
        report(f"verdict: {run.summary['verdict']}")
        return run
