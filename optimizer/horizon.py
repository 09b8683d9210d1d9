"""Is the horizon long enough? The test of Prat, Lusby, Morales, Pineda and Pinson.

"How long is long enough? Finite-horizon approximation of energy storage scheduling problems",
arXiv:2411.17463: the stores end once as empty and once as full as they can; where the first
decision is the same both times, nothing that comes after the horizon changes it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from optimizer.excerpt import take, with_firm_price
from optimizer.problem import Targets
from optimizer.solve import solve

if TYPE_CHECKING:
    import numpy.typing as npt

    from optimizer.plan import Plan
    from optimizer.problem import DispatchProblem

    Floats = npt.NDArray[np.float64]

_HOLD = 0.01
"""Price of leaving the first decision, as a share of the firm price: ten times any energy price."""


@dataclass(frozen=True)
class HorizonTest:
    """What a plan's first decision owes to the end of its horizon; money in the currency.

    Attributes:
        agrees: whether the first powers are the same whether the stores end empty or full: then
            the horizon is long enough.
        differing: batteries whose first powers are not, in the problem's order.
        p_kw_span: the largest difference between the three first powers of one battery.
        loss_when_empty: the most that the plan's first decision costs more than the best one, if
            the stores end as empty as they can.
        loss_when_full: the same, if they end as full as they can.
        reached: whether both ends can be reached; where not, firm rules are broken on the way
            there, and the losses say nothing.
        is_proof: whether `loss_bound` holds for whatever comes after the horizon; see there.
    """

    agrees: bool
    differing: tuple[str, ...]
    p_kw_span: float
    loss_when_empty: float
    loss_when_full: float
    reached: bool
    is_proof: bool

    @property
    def loss_bound(self) -> float:
        """The most that the first decision can cost, whatever stored energy is worth at the end.

        For one store with continuous power the loss by energy at the end is largest at one of the
        two ends: the cost of going from one energy to another is convex in their difference, hence
        submodular, and stays so when the energies between are chosen best. So the sum of both
        losses bounds a fleet of such stores that share nothing (`is_proof`). Under shared limits,
        meters with two prices, ramps, caps on cycles and steps it is an estimate.
        """
        return self.loss_when_empty + self.loss_when_full

    def __str__(self) -> str:
        if not self.reached:
            return "the stores cannot all end empty, or not full: the horizon cannot be judged so"
        if self.agrees:
            return "the horizon is long enough: the first decision is the same for both ends"
        word = "at most" if self.is_proof else "about"
        return (
            f"the first power of {len(self.differing)} batteries depends on the end of the horizon,"
            f" by up to {self.p_kw_span:.4g} kW; that costs {word} {self.loss_bound:.4g}"
        )


def horizon_test(plan: Plan, *, tolerance_kw: float = 1e-3, **how: Any) -> HorizonTest:
    """Hold a plan's first decision against the two extremes of how its horizon may end.

    The problem is solved with the energies at the last instant as low and as high as each battery
    can bring them, and, where the first powers differ, twice more with the plan's own. Targets at
    the last instant and the price of leaving a previous plan are left out.

    Args:
        plan: whose first powers are tested.
        tolerance_kw: first powers that lie no further apart agree.
        how: for `optimizer.solve.solve`.
    """
    problem = _open_ended(plan.problem)
    first = (plan.p_charge_kw - plan.p_discharge_kw)[:, 0]
    ends = [ending_at(problem, energy) for energy in reachable_end_kwh(problem)]
    best = [solve(end, **how) for end in ends]
    powers = np.stack([first, *[(one.p_charge_kw - one.p_discharge_kw)[:, 0] for one in best]])
    span = np.ptp(powers, axis=0)
    agrees = bool((span <= tolerance_kw).all())
    taken = best if agrees else [solve(_holding(end, first), **how) for end in ends]
    losses = [_loss(one, lowest) for one, lowest in zip(taken, best, strict=True)]
    names = problem.batteries.battery_id
    return HorizonTest(
        agrees=agrees,
        differing=tuple(names[row] for row in np.flatnonzero(span > tolerance_kw).tolist()),
        p_kw_span=float(span.max(initial=0.0)),
        loss_when_empty=losses[0],
        loss_when_full=losses[1],
        reached=not any(breach.is_firm for one in (*best, *taken) for breach in one.breaches),
        is_proof=_is_separate(problem),
    )


def _open_ended(problem: DispatchProblem) -> DispatchProblem:
    """The problem without targets at the last instant, and without a previous plan."""
    targets, b, none = problem.targets, problem.batteries, np.zeros(len(problem.batteries))
    at_end = (targets.interval == len(problem.grid) - 1) & (targets.share == 1.0)
    kept = take(targets, np.flatnonzero(~at_end))
    batteries = replace(b, p_kw_previous=np.full(problem.shape, np.nan), change_price_per_kwh=none)
    return replace(problem, batteries=batteries, targets=kept, document=None)


def reachable_end_kwh(problem: DispatchProblem) -> tuple[Floats, Floats]:
    """The least and most energy that each battery alone can hold at the last instant, shape (N,).

    Its band and powers are kept; ramps, cycles, steps and what it shares with others are not asked.
    """
    b, step_h = problem.batteries, problem.grid.step_h
    low, high = b.energy_kwh_initial, b.energy_kwh_initial
    for t in range(len(problem.grid)):
        kept, inflow = problem.energy_after_loss[:, t], b.inflow_kw[:, t] * step_h[t]
        drain = b.p_discharge_kw_max[:, t] / b.efficiency_discharge[:, t] * step_h[t]
        gain = b.p_charge_kw_max[:, t] * b.efficiency_charge[:, t] * step_h[t]
        floor, roof = b.energy_kwh_min[:, t + 1], b.energy_kwh_max[:, t + 1]
        low = np.clip(kept * low + inflow - drain, floor, roof)
        high = np.clip(kept * high + inflow + gain, floor, roof)
    return low, high


def ending_at(problem: DispatchProblem, energy_kwh: Floats) -> DispatchProblem:
    """The problem with a firm target for the energy of every battery at the last instant."""
    targets, names = problem.targets, problem.batteries.battery_id
    count = len(names)
    more = Targets(
        where=tuple(f"end of {name}" for name in names),
        battery=np.arange(count),
        interval=np.full(count, len(problem.grid) - 1),
        share=np.ones(count),
        energy_kwh_min=energy_kwh.copy(),
        energy_kwh_max=energy_kwh.copy(),
        breach_price_per_kwh=np.zeros(count),
    )
    columns = {
        name: np.concatenate([column, getattr(more, name)])
        for name, column in vars(targets).items()
        if name != "where"
    }
    joined = Targets(where=targets.where + more.where, **columns)
    return replace(problem, targets=joined)


def _holding(problem: DispatchProblem, p_kw: Floats) -> DispatchProblem:
    """The problem with a price on leaving `p_kw` in the first interval, above what it can earn."""
    previous = np.full(problem.shape, np.nan)
    previous[:, 0] = p_kw
    price = np.full(len(p_kw), _HOLD * problem.firm_price_per_kwh)
    batteries = replace(problem.batteries, p_kw_previous=previous, change_price_per_kwh=price)
    # The firm price stays that of the problem it is compared with.
    return with_firm_price(replace(problem, batteries=batteries), problem.firm_price_per_kwh)


def _loss(taken: Plan, best: Plan) -> float:
    """What a plan costs more than any plan of the problem that `best` is one of, at most."""
    assert taken.certificate is not None
    assert best.certificate is not None
    lowest = best.certificate.cost - best.certificate.gap_absolute
    return max(taken.certificate.cost - lowest, 0.0)


def _is_separate(problem: DispatchProblem) -> bool:
    """Whether every battery is alone, with a cost that is convex in its powers' difference."""
    b = problem.batteries
    shared = (problem.limits, problem.network, problem.positions, problem.reserves)
    has_rules = np.isfinite([b.cycles_per_day_max, b.ramp_up_kw_per_h, b.ramp_down_kw_per_h]).any()
    paid = problem.price_import_per_kwh + b.wear_cost_charge_per_kwh[:, None]
    earned = problem.price_export_per_kwh - b.wear_cost_discharge_per_kwh[:, None]
    # Else a battery would rather charge and discharge at once, and its cost is not convex.
    is_convex = (paid / b.efficiency_charge >= earned * b.efficiency_discharge).all()
    return not (
        any(len(table) for table in shared)
        or problem.groups.is_site.any()
        or has_rules
        or b.is_discrete.any()
        or (problem.targets.share < 1.0).any()
        or not is_convex
    )
