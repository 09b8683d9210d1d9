"""Columns of a plan's batteries as the kernels want them: what each may do and was to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from optimizer.rounding.network import unit_weights
from optimizer.rounding.tree import as_far_as_kept
from optimizer.rounding.watts import WATTS_PER_KW, Rows

if TYPE_CHECKING:
    import numpy.typing as npt

    from optimizer.plan import Plan
    from optimizer.problem import DispatchProblem
    from optimizer.rounding.tree import Tree

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

_OFF_KW = 0.5 / WATTS_PER_KW


@dataclass(frozen=True, eq=False)
class Work:
    """A plan on its way to whole watts.

    Attributes:
        plan: as it was.
        tree: groups with limits.
        is_settled: shape (N,), see `optimizer.rounding.watts.Rows`.
        targets: order of the targets by battery.
        is_whole: whether watts are to be whole; else limits are kept for their own sake.
        charge, discharge, energy, generation: of the plan in whole watts, as far as it is done.
    """

    plan: Plan
    tree: Tree
    is_settled: npt.NDArray[np.bool_]
    targets: Ints
    is_whole: bool
    charge: Floats
    discharge: Floats
    energy: Floats
    generation: Floats


def gather(work: Work, rows: Ints) -> Rows:
    """Columns of some batteries, close together in memory."""
    plan, problem, b = work.plan, work.plan.problem, work.plan.problem.batteries
    step_h, days = problem.grid.step_h, problem.days
    charge, discharge = plan.p_charge_kw[rows], plan.p_discharge_kw[rows]
    power, energy = charge - discharge, plan.energy_kwh[rows]
    gain, drain = b.efficiency_charge[rows] * step_h, step_h / b.efficiency_discharge[rows]
    energy_low = as_far_as_kept(b.energy_kwh_min[rows], energy, -1.0)
    energy_high = as_far_as_kept(b.energy_kwh_max[rows], energy, 1.0)
    energy[:, 0] = energy_low[:, 0] = energy_high[:, 0] = b.energy_kwh_initial[rows]
    low, high = _powers_of(problem, rows, power)
    hours = (np.append(step_h[:1], step_h[:-1]) + step_h) / 2
    spare = np.full((len(rows), int(days[-1]) + 1), np.inf)
    capped = np.isfinite(b.cycles_per_day_max[rows])
    if capped.any():
        moved = np.abs(gain * charge + drain * discharge)[capped]
        planned = np.stack([moved[:, days == d].sum(axis=1) for d in range(spare.shape[1])], axis=1)
        most = 2.0 * b.energy_kwh_rated[rows[capped]] * b.cycles_per_day_max[rows[capped]]
        spare[capped] = np.maximum(most[:, None] - planned, 0.0)
    return Rows(
        low=low,
        high=high,
        gain=gain,
        drain=drain,
        kept=problem.energy_after_loss[rows],
        inflow=b.inflow_kw[rows] * step_h,
        energy_low=energy_low,
        energy_high=energy_high,
        power=power,
        energy=energy,
        node=work.tree.near[b.group[rows]],
        is_settled=work.is_settled[rows],
        ramp_up=b.ramp_up_kw_per_h[rows, None] * hours,
        ramp_down=b.ramp_down_kw_per_h[rows, None] * hours,
        before=b.p_kw_initial[rows],
        day=days,
        spare=spare,
        weight=unit_weights(work.tree.network, problem, rows, b.group[rows]),
        **_targets_of(work, rows, energy),
    )


def _powers_of(problem: DispatchProblem, rows: Ints, power: Floats) -> tuple[Floats, Floats]:
    """Least and most power of each cell; what is off below a least power, and a step, stays."""
    b = problem.batteries
    low, high = -b.p_discharge_kw_max[rows], b.p_charge_kw_max[rows]
    if not b.is_discrete[rows].any():
        return low, high
    least, is_on = b.p_charge_kw_min[rows, None], power > _OFF_KW
    low = np.where((least > 0) & is_on, least, low)
    high = np.where((least > 0) & ~is_on, np.minimum(high, 0.0), high)
    least, is_on = b.p_discharge_kw_min[rows, None], power < -_OFF_KW
    high = np.where((least > 0) & is_on, -least, high)
    low = np.where((least > 0) & ~is_on, np.maximum(low, 0.0), low)
    levels = b.power_levels[rows, None]
    step = np.where(power >= 0, b.p_charge_kw_max[rows], b.p_discharge_kw_max[rows])
    step = step / np.maximum(levels, 1)
    on_step = np.round(power / np.where(step > 0, step, 1.0)) * step
    return np.where(levels > 0, on_step, low), np.where(levels > 0, on_step, high)


def _targets_of(work: Work, rows: Ints, energy: Floats) -> dict[str, npt.NDArray[Any]]:
    """The targets of some batteries, as far as the plan reaches them."""
    problem, targets = work.plan.problem, work.plan.problem.targets
    by_battery = targets.battery[work.targets]
    start, stop = np.searchsorted(by_battery, rows), np.searchsorted(by_battery, rows + 1)
    edges = np.append(0, np.cumsum(stop - start))
    owner = np.repeat(np.arange(len(rows)), stop - start)
    mine = work.targets[np.arange(edges[-1]) - edges[owner] + start[owner]]
    at, share = targets.interval[mine], targets.share[mine]
    kept = problem.energy_after_loss[targets.battery[mine], at]
    first = kept**share - share * kept
    low, high = targets.energy_kwh_min[mine], targets.energy_kwh_max[mine]
    if work.is_whole:
        reached = first * energy[owner, at] + share * energy[owner, at + 1]
        low, high = as_far_as_kept(low, reached, -1.0), as_far_as_kept(high, reached, 1.0)
    return {
        "target_start": edges,
        "target_at": at,
        "target_first": first,
        "target_last": share,
        "target_low": low,
        "target_high": high,
    }
