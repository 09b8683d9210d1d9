"""The gate: nothing is released that the twins have not lived through and the grid cannot carry.

Every check is of the whole fleet as it would be. The grid comes in through `PowerFlow`; a gate
without one cannot be made.
"""

from __future__ import annotations

import hashlib
import json
import platform
import time
from dataclasses import asdict, dataclass, field
from importlib import metadata
from typing import TYPE_CHECKING, Any

import numpy as np

from dispatch.battery_checks import (
    Tolerance,
    limit_findings,
    ramp_findings,
    replay_findings,
    scenario_findings,
)
from dispatch.cases import flow_cases
from dispatch.findings import Check, Finding
from dispatch.grid_checks import PowerFlow, grid_findings
from dispatch.verdict import Evidence, Verdict
from optimizer.certificate import check as violations
from twins import replay

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt
    import xarray as xr

    from optimizer.plan import Plan
    from twins import Fleet, Uncertainty

REST_KW_MAX = 1e-6
"""A battery that moves less stands still."""


@dataclass(frozen=True, eq=False)
class Gate:
    """Judges plans for one fleet on one grid.

    Attributes:
        fleet: the batteries as they are now (`soc_initial` is where they start).
        power_flow: the grid with everything else on it.
        tolerance: how far the twin may stay behind the plan.
        uncertainty: parameter scenarios to replay beside the nominal fleet, or None.
        temperature_ambient_c: for the twins.
        fleet_ramp_kw_per_s_max: limit on the fleet's change of power at an interval's edge, spread
            over `ramp_s`; None for no limit.
        ramp_s: seconds over which devices spread a change of set-point.
    """

    fleet: Fleet
    power_flow: PowerFlow
    tolerance: Tolerance = field(default_factory=Tolerance)
    uncertainty: Uncertainty | None = None
    temperature_ambient_c: float = 20.0
    fleet_ramp_kw_per_s_max: float | None = None
    ramp_s: float = 600.0

    def __post_init__(self) -> None:
        # A caller that has no grid yet would otherwise find out at the first plan, or never.
        for name in ("flow", "breaches", "digest", "engine"):
            if not hasattr(self.power_flow, name):
                raise TypeError(f"a gate needs a power flow; {self.power_flow!r} has no {name!r}")
        if not self.ramp_s > 0:
            raise ValueError(f"ramp_s must be above 0, got {self.ramp_s}")
        rate = self.fleet_ramp_kw_per_s_max
        if rate is not None and not rate > 0:
            raise ValueError(f"fleet_ramp_kw_per_s_max must be above 0 or None, got {rate}")

    def check(self, plan: Plan) -> Verdict:
        """Live the plan through and say what speaks against it.

        Raises:
            ValueError: the plan's batteries or intervals are not those of fleet and grid, or it
                holds NaN.
        """
        p_kw = plan.p_kw
        clock = time.perf_counter()
        lived = replay(
            self.fleet,
            plan.problem.grid,
            p_kw,
            temperature_ambient_c=self.temperature_ambient_c,
            uncertainty=self.uncertainty,
        )
        replayed = time.perf_counter()
        nominal = lived.isel(scenario=0) if "scenario" in lived.dims else lived
        baseline = self.power_flow.flow(None)
        cases = flow_cases(self.power_flow, p_kw, lived, nominal)
        flowed = time.perf_counter()
        findings = _plan_findings(plan) + self._battery_findings(p_kw, lived, nominal)
        broken = [
            (
                case.words,
                self.power_flow.breaches(case.flow, baseline, _at_rest(p_kw, case.p_kw)),
            )
            for case in cases
        ]
        against, accepted = grid_findings(broken, plan.problem.grid.starts)
        judged = time.perf_counter()
        return Verdict(
            findings=tuple(findings + _worst(against)),
            preexisting=tuple(_worst(accepted)),
            hashes=self._hashes(plan),
            evidence=Evidence(replay=lived, cases=cases, baseline=baseline),
            seconds={
                "replay": replayed - clock,
                "power_flow": flowed - replayed,
                "judge": judged - flowed,
            },
        )

    def _hashes(self, plan: Plan) -> dict[str, str]:
        return {
            "plan": plan.digest,
            "problem": plan.problem.digest,
            "fleet": self.fleet.digest(),
            "grid": self.power_flow.digest,
            "rules": _sha256(self._rules()),
            "versions": _sha256(versions()),
        }

    def _rules(self) -> dict[str, Any]:
        """All that a verdict depends on beside plan, fleet and grid."""
        return {
            "tolerance": asdict(self.tolerance),
            "uncertainty": None if self.uncertainty is None else asdict(self.uncertainty),
            "temperature_ambient_c": self.temperature_ambient_c,
            "fleet_ramp_kw_per_s_max": self.fleet_ramp_kw_per_s_max,
            "ramp_s": self.ramp_s,
            "engine": self.power_flow.engine,
        }

    def _battery_findings(
        self, p_kw: xr.DataArray, lived: xr.Dataset, nominal: xr.Dataset
    ) -> list[Finding]:
        hours = np.diff(nominal["instant"].to_numpy()) / np.timedelta64(1, "h")
        findings = limit_findings(self.fleet, p_kw)
        findings += replay_findings(self.fleet, p_kw, nominal, hours, self.tolerance)
        findings += scenario_findings(self.fleet, p_kw, lived, hours, self.tolerance)
        if self.fleet_ramp_kw_per_s_max is not None:
            instants = nominal["instant"].to_numpy()
            findings += ramp_findings(p_kw, instants, self.fleet_ramp_kw_per_s_max, self.ramp_s)
        return findings


def _at_rest(*p_kw: xr.DataArray) -> npt.NDArray[np.bool_]:
    """Intervals in which no battery moves, in none of these powers."""
    still = [(np.abs(one.to_numpy()) <= REST_KW_MAX).all(axis=0) for one in p_kw]
    return np.asarray(np.all(still, axis=0))


def _sha256(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def versions() -> dict[str, str]:
    """Versions of everything that can change an answer."""
    names = (
        "gridsim", "numpy", "numba", "pandas", "xarray", "scipy", "pyomo", "highspy", "pandapower",
        "simbench", "lightsim2grid",
    )  # fmt: skip
    found = {"python": platform.python_version()}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _plan_findings(plan: Plan) -> list[Finding]:
    """Rules that the plan itself says it breaks, or breaks without saying so."""
    findings = [
        Finding(Check.PLAN, breach.name, breach.at, breach.size, 0.0, breach.unit, str(breach))
        for breach in plan.breaches
        if breach.is_firm
    ]
    # The certificate that came with the plan may be another's, or made up: look again.
    findings += [
        Finding(
            Check.PLAN,
            violation.name,
            violation.at,
            violation.size,
            0.0,
            violation.unit,
            f"the plan breaks a rule that it claims to keep: {violation}",
        )
        for violation in violations(plan)
    ]
    return findings


def _worst(findings: list[Finding]) -> list[Finding]:
    """Grouped by check, the largest breach first."""
    order = {check: at for at, check in enumerate(Check)}
    findings.sort(key=lambda f: (order[f.check], -abs(f.value - f.limit)))
    return findings
