"""What the gate says of a plan, and the evidence it says it on."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    import xarray as xr

    from dispatch.cases import FlowCase
    from dispatch.findings import Finding


@dataclass(frozen=True, eq=False)
class Evidence:
    """What a verdict rests on.

    Attributes:
        replay: what the twins did, from `twins.replay`; scenario 0 is the nominal fleet.
        cases: the power flows that were judged; the first has the batteries as the nominal twins
            moved them.
        baseline: the power flow with every battery at rest.
    """

    replay: xr.Dataset
    cases: tuple[FlowCase, ...]
    baseline: xr.Dataset

    @property
    def flow(self) -> xr.Dataset:
        """The power flow with the batteries as the nominal twins moved them."""
        return self.cases[0].flow

    @property
    def nominal(self) -> xr.Dataset:
        """What the twins did with the parameters they are believed to have."""
        if "scenario" in self.replay.dims:
            return self.replay.isel(scenario=0, drop=True)
        return self.replay


@dataclass(frozen=True, eq=False)
class Verdict:
    """The gate's answer.

    Attributes:
        findings: what speaks against the plan; empty for a plan that passed.
        preexisting: limits that are broken without batteries too and that the plan does not worsen.
        hashes: sha256 of all that the judgement rests on: plan, problem, fleet, grid (with its
            profiles), rules (of the gate) and versions.
        grid_model: "balanced": phases are not told apart.
        evidence: the datasets behind it.
        seconds: by phase: replay, power_flow, judge.
    """

    findings: tuple[Finding, ...]
    preexisting: tuple[Finding, ...]
    hashes: Mapping[str, str]
    evidence: Evidence = field(repr=False)
    seconds: Mapping[str, float] = field(default_factory=dict)
    grid_model: str = "balanced"

    @property
    def passed(self) -> bool:
        """Whether nothing speaks against the plan."""
        return not self.findings

    @property
    def word(self) -> str:
        """ "pass" or "refused"."""
        return "pass" if self.passed else "refused"

    @cached_property
    def digest(self) -> str:
        """sha256 of the judgement: what was judged, and what was found."""
        content = {
            "hashes": dict(self.hashes),
            "findings": [str(finding) for finding in self.findings],
            "grid_model": self.grid_model,
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
