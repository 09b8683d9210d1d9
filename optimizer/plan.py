"""What was decided: the fleet's powers, what they leave broken, and the proof that goes with it."""

from __future__ import annotations

import enum
import hashlib
from dataclasses import MISSING, dataclass, field, fields
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from optimizer.explain import Explanation
    from optimizer.problem import DispatchProblem

    Floats = npt.NDArray[np.float64]


def _no_rows() -> Floats:
    return np.zeros(0)


class Status(enum.Enum):
    """What the plan is worth."""

    OPTIMAL = "optimal"
    """Proven to within the gap that was asked for."""
    FEASIBLE = "feasible"
    """Keeps every rule; optimality is only known to within its certificate's gap."""


class StopReason(enum.Enum):
    """Why the solve stopped."""

    GAP_REACHED = "gap reached"
    SEARCHED = "search ended"
    """Nothing better was found, and the gap that was asked for is not reached."""
    TIME_LIMIT = "time limit"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True)
class Breach:
    """One limit, target or band that the plan could not keep.

    Attributes:
        kind: "limit", "limit ramp", "network", "reserve", "target", "band" or "ramp".
        name: id of the limit, network row or battery.
        at: start of the interval, or the moment of a target, RFC 3339.
        size: how far it is broken, ≥ 0.
        unit: "kW" or "kWh" ("kW/h" for a ramp).
        side: "above" or "below".
        is_firm: whether the limit had no price of its own.
    """

    kind: str
    name: str
    at: str
    size: float
    unit: str
    side: str
    is_firm: bool

    def __str__(self) -> str:
        return f"{self.kind} of {self.name} at {self.at}: {self.size:.6g} {self.unit} {self.side}"


@dataclass(frozen=True, eq=False)
class Multipliers:
    """Prices of the rows that tie variables together, in the problem's currency.

    Every entry is the fall in cost per unit of relief of its row. For any values whatever (of the
    right sign) `optimizer.certificate` computes a valid bound from them.

    Attributes:
        energy_value_per_kwh: shape (N, T), worth of one more stored kWh arriving in the interval.
        site_price_per_kwh: shape (G, T), effective price at a site's meter, between its export and
            import price; nan for groups that are no site.
        limit_max_per_kw: shape (L, T), ≥ 0, worth of one more kW of ``p_kw_max`` in the interval.
        limit_min_per_kw: shape (L, T), ≥ 0, worth of one kW less of ``p_kw_min``.
        ramp_up_per_kw: shape (N, T), ≥ 0, of the ramp into the interval.
        ramp_down_per_kw: shape (N, T), ≥ 0.
        cycles_per_kwh: shape (N, D), ≥ 0, of one more kWh of throughput on day D (see
            `optimizer.formulation`: throughput counts both legs at the store).
        target_min_per_kwh: shape (K,), ≥ 0, of one kWh less wanted.
        target_max_per_kwh: shape (K,), ≥ 0, of one kWh more allowed.
        network_max_per_kw: shape (R,), ≥ 0, of one more kW of a network row's ``p_kw_max`` over its
            interval.
        network_min_per_kw: shape (R,), ≥ 0, of one kW less of its ``p_kw_min``.
        limit_ramp_up_per_kw: shape (L, T), ≥ 0, of a limit's ramp into the interval.
        limit_ramp_down_per_kw: shape (L, T), ≥ 0.
        position_per_kwh: shape (C, T), of one more kWh of committed net: the price of a kWh drawn
            there, from the negative of the price below to the price above.
        reserve_per_kw: shape (K, T), ≥ 0, of one kW less of reserve required over the interval.
        reserve_charge_per_kw: shape (B, T), ≥ 0, of one more kW of the most charging power that
            reserves downwards leave room below; by the rows of `problem.reserve_batteries`.
        reserve_discharge_per_kw: shape (B, T), ≥ 0, the same for discharging, reserves upwards.
        reserve_energy_min_per_kwh: shape (B, T, 2), ≥ 0, of one kWh less of the lower edge that
            the energy behind reserves upwards stands on, at both ends of the interval.
        reserve_energy_max_per_kwh: shape (B, T, 2), ≥ 0, of one kWh more of the upper edge.

    The columns with a default may be left out: then no row of theirs has a price.
    """

    energy_value_per_kwh: Floats
    site_price_per_kwh: Floats
    limit_max_per_kw: Floats
    limit_min_per_kw: Floats
    ramp_up_per_kw: Floats
    ramp_down_per_kw: Floats
    cycles_per_kwh: Floats
    target_min_per_kwh: Floats
    target_max_per_kwh: Floats
    network_max_per_kw: Floats = field(default_factory=_no_rows)
    network_min_per_kw: Floats = field(default_factory=_no_rows)
    limit_ramp_up_per_kw: Floats = field(default_factory=_no_rows)
    limit_ramp_down_per_kw: Floats = field(default_factory=_no_rows)
    position_per_kwh: Floats = field(default_factory=_no_rows)
    reserve_per_kw: Floats = field(default_factory=_no_rows)
    reserve_charge_per_kw: Floats = field(default_factory=_no_rows)
    reserve_discharge_per_kw: Floats = field(default_factory=_no_rows)
    reserve_energy_min_per_kwh: Floats = field(default_factory=_no_rows)
    reserve_energy_max_per_kwh: Floats = field(default_factory=_no_rows)


LATER_COLUMNS = frozenset(
    column.name for column in fields(Multipliers) if column.default_factory is not MISSING
)
"""Columns of the multipliers that may be left out: plans of before do not have them."""


@dataclass(frozen=True)
class Certificate:
    """What a plan earns, and how much any plan could earn at most.

    Attributes:
        cost: of the plan, with wear, peaks, breach prices and the energy left at its value.
        penalty: the part of `cost` that nobody pays: the price of firm limits, targets, bands and
            ramps that could not be kept.
        cost_idle: of doing nothing: batteries at rest, sessions not served, generation as available
            (missed targets, broken bands and unserved sessions are not charged).
        profit: ``cost_idle - cost``.
        profit_bound: no plan earns more.
        gap: ``(profit_bound - profit) / max(earned, 1 % of the gross traded value, 0.01)``, where
            ``earned`` is the profit without any penalty.
        gap_absolute: ``profit_bound - profit``, in the problem's currency.
        worst_violation: the largest breach of a rule that the plan claims to keep, relative to
            ``max(1, |limit|)`` (kW, kWh); a reported breach is no violation.
        bound_source: "multipliers", or "branch and bound": then the bound is the solver's word, and
            a saved plan cannot prove it.
    """

    cost: float
    penalty: float
    cost_idle: float
    profit: float
    profit_bound: float
    gap: float
    gap_absolute: float
    worst_violation: float
    bound_source: str


@dataclass(frozen=True)
class Audit:
    """One drawn area of a plan beside the Pyomo model's answer for it; money in the currency.

    Attributes:
        area: what was drawn, in words.
        batteries: how many it has.
        engine_profit: of the plan in the area, at the prices of what lies outside.
        engine_bound: the most that any plan of the area earns by the plan's multipliers.
        model_profit: of the model's own plan.
        model_bound: the most that any plan earns by the model.
        tolerance: what the two may differ by: the whole plan's gap, and rounding.
        agrees: whether each profit lies below both bounds, and the plan's close to the model's.
    """

    area: str
    batteries: int
    engine_profit: float
    engine_bound: float
    model_profit: float
    model_bound: float
    tolerance: float
    agrees: bool

    @property
    def difference(self) -> float:
        """What the model finds more than the plan has."""
        return self.model_profit - self.engine_profit

    def __str__(self) -> str:
        found = "agrees" if self.agrees else "does not agree"
        return (
            f"the model of {self.area} ({self.batteries} batteries) {found} with the plan: "
            f"{self.model_profit:.6g} and {self.engine_profit:.6g}, {self.difference:+.2e} apart"
        )


@dataclass(frozen=True)
class SolverReport:
    """How the answer was found.

    Attributes:
        name: solver and its version, e.g. "HiGHS 1.16.0".
        columns, rows, nonzeros, binaries: size of the last model.
        rounds: models solved until no battery charged and discharged at once.
        bound: the solver's own lower bound on the cost, nan if it gave none.
        seconds: by phase: build, solve, extract, certify; and audit, beside the answer.
        why: why this way of solving was taken, in words.
        audit: a drawn area beside the Pyomo model, None where there was no audit.
        resolution_w: watts that every power is a whole multiple of; None for powers as found.
        cells_left: powers that no whole multiple could take the place of.
    """

    name: str
    columns: int
    rows: int
    nonzeros: int
    binaries: int
    rounds: int
    bound: float
    seconds: Mapping[str, float] = field(default_factory=dict)
    why: str = ""
    audit: Audit | None = None
    resolution_w: float | None = None
    cells_left: int = 0


@dataclass(frozen=True, eq=False)
class Plan:
    """A decided problem.

    Attributes:
        problem: what was asked.
        p_charge_kw: shape (N, T), ≥ 0.
        p_discharge_kw: shape (N, T), ≥ 0.
        energy_kwh: shape (N, T+1), as the optimiser's model has it.
        generation_kw: shape (M, T), output of the curtailable generators, ≥ 0.
        status: what the plan is worth.
        stop_reason: why the solve stopped.
        breaches: everything that could not be kept, largest first within a kind.
        multipliers: row prices, or None where the solver gave none.
        certificate: computed from the arrays alone, or None before it is.
        solver: how it was found, or None for a plan made by hand.
        reserve_kw: shape (P, T), ≥ 0, reserve kept by the pairs of `problem.reserve_pairs`; left
            out, none is.
    """

    problem: DispatchProblem
    p_charge_kw: Floats
    p_discharge_kw: Floats
    energy_kwh: Floats
    generation_kw: Floats
    status: Status
    stop_reason: StopReason
    breaches: tuple[Breach, ...] = ()
    multipliers: Multipliers | None = None
    certificate: Certificate | None = None
    solver: SolverReport | None = None
    reserve_kw: Floats = field(default_factory=_no_rows)

    def __post_init__(self) -> None:
        if not self.reserve_kw.size:
            shape = (len(self.problem.reserve_pairs), len(self.problem.grid))
            object.__setattr__(self, "reserve_kw", np.zeros(shape))

    def __repr__(self) -> str:
        batteries, intervals = self.problem.shape
        found = self.certificate
        proof = f", profit {found.profit:.6g}, gap {found.gap:.2%}" if found else ""
        size = f"{batteries} batteries, {intervals} intervals"
        return f"Plan({self.problem.name!r}, {size}, {self.status.value}{proof})"

    @property
    def p_kw(self) -> xr.DataArray:
        """Power of every battery, dims (battery, time), positive charging."""
        problem = self.problem
        return xr.DataArray(
            self.p_charge_kw - self.p_discharge_kw,
            dims=("battery", "time"),
            coords={"battery": list(problem.batteries.battery_id), "time": problem.grid.starts},
            name="p_kw",
            attrs={"units": "kW", "long_name": "power at the terminals", "sign": "+ charges"},
        )

    @property
    def reserve_by_product_kw(self) -> Floats:
        """Reserve kept of each product by all its batteries, shape (K, T)."""
        kept = np.zeros((len(self.problem.reserves), len(self.problem.grid)))
        np.add.at(kept, self.problem.reserve_pairs[:, 0], self.reserve_kw)
        return kept

    @property
    def prices(self) -> xr.Dataset:
        """Prices of limits, sites, groups and stored energy; see `optimizer.duals.price_table`.

        Raises:
            ValueError: the plan has no multipliers.
        """
        from optimizer.duals import price_table

        if self.multipliers is None:
            raise ValueError(f"the plan of {self.problem.name} has no prices")
        return price_table(self.problem, self.multipliers)

    def explain(self, battery_id: str) -> Explanation:
        """What a battery does and why; see `optimizer.explain`."""
        from optimizer.explain import explain

        return explain(self, battery_id)

    @cached_property
    def digest(self) -> str:
        """sha256 of the problem and of every decided power; the same in every process."""
        digest = hashlib.sha256(self.problem.digest.encode())
        for powers in (self.p_charge_kw, self.p_discharge_kw, self.generation_kw):
            digest.update(np.ascontiguousarray(powers).tobytes())
        if self.reserve_kw.size:
            digest.update(np.ascontiguousarray(self.reserve_kw).tobytes())
        return digest.hexdigest()

    @property
    def soc(self) -> Floats:
        """State of charge as a fraction of the rated energy, shape (N, T+1)."""
        rated = self.problem.batteries.energy_kwh_rated[:, None]
        return np.asarray(self.energy_kwh / np.where(rated > 0, rated, 1.0))

    @property
    def target_energy_kwh(self) -> Floats:
        """Energy at the moment of each target, shape (K,).

        Flows are even over an interval and the standing loss is taken from its first energy, so
        what has flowed grows in proportion to the time that has passed.
        """
        problem, targets = self.problem, self.problem.targets
        kept = 1.0 - problem.batteries.standing_loss_per_h[targets.battery]
        hours = problem.grid.step_h[targets.interval]
        first = self.energy_kwh[targets.battery, targets.interval]
        flowed = self.energy_kwh[targets.battery, targets.interval + 1] - kept**hours * first
        return np.asarray(kept ** (targets.share * hours) * first + targets.share * flowed)
