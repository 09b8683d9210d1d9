"""What a plan file must hold to be read again.

Keys that follow from these (``p_kw``, ``soc``, the report on targets) are written for people and
other programs; `optimizer.plan_file.contradictions` compares them with what they follow from.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from optimizer.plan import Status, StopReason  # noqa: TC001  pydantic reads them at run time


def _utc_moment(text: str) -> str:
    allowed = "must be a moment in UTC, e.g. 2023-01-16T00:00:00Z"
    try:
        is_missing = np.isnat(np.datetime64(text.removesuffix("Z"), "ns"))
    except ValueError:
        raise ValueError(allowed) from None
    if is_missing or not text.endswith("Z"):
        raise ValueError(allowed)
    return text


class PlanPart(BaseModel):
    """Base of all parts: numbers are finite, and keys that follow from others are passed over."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True, allow_inf_nan=False)


class UnitPlan(PlanPart):
    """What one battery or session does."""

    battery_id: str
    p_charge_kw: list[float]
    p_discharge_kw: list[float]
    energy_kwh: list[float]


class GeneratorPlan(PlanPart):
    """What one curtailable generator does."""

    generator_id: str
    p_kw: list[float]


class ReservePlan(PlanPart):
    """What one battery keeps of one reserve product."""

    reserve_id: str
    battery_id: str
    p_kw: list[float]


class BreachEntry(PlanPart):
    """One `optimizer.plan.Breach`."""

    kind: Literal["limit", "limit ramp", "network", "reserve", "target", "band", "ramp"]
    name: str
    at: Annotated[str, AfterValidator(_utc_moment)]
    size: float
    unit: str
    side: Literal["above", "below"]
    is_firm: bool


class CertificateEntry(PlanPart):
    """One `optimizer.plan.Certificate`."""

    cost: float
    penalty: float
    cost_idle: float
    profit: float
    profit_bound: float
    gap: float
    gap_absolute: float
    worst_violation: float
    bound_source: str


class AuditEntry(PlanPart):
    """One `optimizer.plan.Audit`."""

    area: str
    batteries: int
    engine_profit: float
    engine_bound: float
    model_profit: float
    model_bound: float
    tolerance: float
    agrees: bool


class SolverEntry(PlanPart):
    """One `optimizer.plan.SolverReport`."""

    name: str
    columns: int
    rows: int
    nonzeros: int
    binaries: int
    rounds: int
    bound: float | None = Field(description="null where the solver gave none")
    seconds: dict[str, float]
    why: str = ""
    audit: AuditEntry | None = None
    resolution_w: float | None = None
    cells_left: int = 0


class MultiplierTable(PlanPart):
    """One array of `optimizer.plan.Multipliers`; null stands for "no such row"."""

    shape: list[int]
    values: list[float | None]


class PlanDocument(PlanPart):
    """A plan with its problem."""

    schema_version: Literal[1]
    status: Status = Field(strict=False)
    stop_reason: StopReason = Field(strict=False)
    certificate: CertificateEntry | None = None
    solver: SolverEntry | None = None
    breaches: list[BreachEntry] = []
    batteries: list[UnitPlan] = []
    sessions: list[UnitPlan] = []
    generators: list[GeneratorPlan] = []
    reserves: list[ReservePlan] = []
    multipliers: dict[str, MultiplierTable] | None = None
    problem_digest: str
    problem: dict[str, Any]
