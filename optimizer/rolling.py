"""A solver that is kept between solves: each plan is the next one's previous plan.

Rows are found again by name and intervals by time, so that the next problem may have another
horizon, other steps and other batteries.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from optimizer.solve import Solver, solve

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from optimizer.plan import Plan
    from optimizer.problem import DispatchProblem
    from optimizer.rounding import Resolution
    from twins.timegrid import TimeGrid

    Floats = npt.NDArray[np.float64]

_WHOLLY = 1e-9
"""What an interval may lack, as a share, and still count as covered."""


@dataclass(frozen=True)
class RollingOptions:
    """How every problem is solved; the names are those of `optimizer.solve.solve`.

    Attributes:
        change_price_per_kwh: ≥ 0, price of each kWh by which a battery's power differs from the
            last plan's; 0 lets a plan change freely. It is a cost of the problem like any other:
            it is in the plan's profit, and the certificate proves the problem that has it.
        gap, time_limit_s, threads, solver, audit, resolution_w, strict: of every solve.

    Raises:
        ValueError: `change_price_per_kwh` is negative or no number.
    """

    change_price_per_kwh: float = 0.0
    gap: float = 1e-6
    time_limit_s: float | None = None
    threads: int | None = None
    solver: Solver = "auto"
    audit: bool = True
    resolution_w: Resolution = None
    strict: bool = False

    def __post_init__(self) -> None:
        price = self.change_price_per_kwh
        if not (np.isfinite(price) and price >= 0):
            raise ValueError(f"change_price_per_kwh must be a number ≥ 0, got {price!r}")


@dataclass
class RollingSolver:
    """Solves one problem after another and remembers the last plan.

    Attributes:
        options: how every problem is solved.
        last: the last plan, None before the first solve. Set it to go on from a saved plan.
    """

    options: RollingOptions = field(default_factory=RollingOptions)
    last: Plan | None = None

    def solve(self, problem: DispatchProblem) -> Plan:
        """The cheapest plan of a problem, near the last plan where a change has a price.

        A problem that states previous powers itself keeps them. What `optimizer.solve.solve` raises
        is raised, and the last plan then stays what it was.
        """
        options = self.options
        if self.last is not None and options.change_price_per_kwh > 0:
            problem = near_plan(problem, self.last, options.change_price_per_kwh)
        self.last = solve(
            problem,
            strict=options.strict,
            gap=options.gap,
            time_limit_s=options.time_limit_s,
            threads=options.threads,
            solver=options.solver,
            audit=options.audit,
            resolution_w=options.resolution_w,
        )
        return self.last


def near_plan(problem: DispatchProblem, last: Plan, price_per_kwh: float) -> DispatchProblem:
    """The problem with a price on each kWh that differs from another plan.

    Batteries that state previous powers themselves keep them, and their price.

    Args:
        problem: what is asked now.
        last: the plan to stay near, of any horizon.
        price_per_kwh: ≥ 0.
    """
    b = problem.batteries
    stated = np.asarray(np.isfinite(b.p_kw_previous).any(axis=1))
    powers = np.where(stated[:, None], b.p_kw_previous, carried_p_kw(problem, last))
    prices = np.where(stated, b.change_price_per_kwh, price_per_kwh)
    near = replace(b, p_kw_previous=powers, change_price_per_kwh=prices)
    return replace(problem, batteries=near, document=None)


def carried_p_kw(problem: DispatchProblem, last: Plan) -> Floats:
    """Power of a plan in the intervals of another problem, shape (N, T), positive charging.

    Batteries are found by `battery_id`; the mean is taken over what an interval covers. nan for a
    battery that the plan does not know, and for an interval that it does not cover wholly.
    """
    known, row = _places(problem.batteries.battery_id, last.problem.batteries.battery_id)
    share = overlap(last.problem.grid, problem.grid)
    covered = _wholly(share)
    powers = (last.p_charge_kw - last.p_discharge_kw)[row[known]] @ share
    found = np.full(problem.shape, np.nan)
    found[np.ix_(known, covered)] = powers[:, covered]
    return found


def carried_limit_prices(problem: DispatchProblem, last: Plan) -> tuple[Floats, Floats]:
    """Prices of a plan's limits in the intervals of another problem, by `limit_id`.

    Returns:
        What one kW more of `p_kw_max`, and one kW less of `p_kw_min`, is worth over an interval,
        shape (L, T) each; nan where the plan says nothing, as in `carried_p_kw`.

    Raises:
        ValueError: the plan has no multipliers.
    """
    if last.multipliers is None:
        raise ValueError(f"the plan of {last.problem.name} has no prices")
    known, row = _places(problem.limits.limit_id, last.problem.limits.limit_id)
    grid, before = problem.grid, last.problem.grid
    share = overlap(before, grid)
    covered = _wholly(share)
    prices = []
    for of_rows in (last.multipliers.limit_max_per_kw, last.multipliers.limit_min_per_kw):
        found = np.full((len(problem.limits), len(grid)), np.nan)
        # A price over an interval grows with its length.
        mean = (of_rows[row[known]] / before.step_h) @ share * grid.step_h
        found[np.ix_(known, covered)] = mean[:, covered]
        prices.append(found)
    return prices[0], prices[1]


def overlap(before: TimeGrid, now: TimeGrid) -> Floats:
    """Share of each interval of `now` that lies in each of `before`, shape (T before, T now)."""
    first = np.maximum(before.instants[:-1, None], now.instants[None, :-1])
    last = np.minimum(before.instants[1:, None], now.instants[None, 1:])
    common = np.maximum((last - first).astype(np.int64), 0)
    return np.asarray(common / np.diff(now.instants).astype(np.int64))


def _wholly(share: Floats) -> npt.NDArray[np.bool_]:
    return np.asarray(share.sum(axis=0) >= 1.0 - _WHOLLY)


def _places(
    names: Sequence[str], before: Sequence[str]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Rows of `names` that were there before, and for every row its place there, −1 for none."""
    place = {name: at for at, name in enumerate(before)}
    row = np.array([place.get(name, -1) for name in names], dtype=np.int64)
    return np.flatnonzero(row >= 0), row
