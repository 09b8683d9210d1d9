"""Reserve products of the whole that batteries of a part keep, at the price they have there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from optimizer.problem import NO_GROUP, Reserves

if TYPE_CHECKING:
    import numpy.typing as npt

    from optimizer.excerpt import Excerpt
    from optimizer.plan import Multipliers, Plan
    from optimizer.problem import DispatchProblem

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]


def priced_reserves(
    part: Excerpt, problem: DispatchProblem, prices: Multipliers
) -> tuple[Reserves, Ints]:
    """The part's products, and those of the whole that reach into it, at their prices.

    A product that reaches into a part of one group is one of all its batteries. Its price differs
    from interval to interval, so that each has a product of its own: more than the part can keep is
    asked for, and the price is what each kW less would cost.

    Returns:
        The table, and which rows of the whole its rows are.
    """
    own, b, step_h = part.problem.reserves, part.problem.batteries, problem.grid.step_h
    pairs = problem.reserve_pairs[np.isin(problem.reserve_pairs[:, 1], part.batteries)]
    outer = np.setdiff1d(pairs[:, 0], part.reserves)
    cells = [(int(k), t) for k in outer for t in np.flatnonzero(prices.reserve_per_kw[k]).tolist()]
    if not cells:
        return own, part.reserves
    product, interval = np.array(cells, dtype=np.int64).T
    most = (b.p_charge_kw_max + b.p_discharge_kw_max).sum(axis=0)
    required = np.zeros((len(cells), len(step_h)))
    required[np.arange(len(cells)), interval] = most[interval] + 1.0
    whole = problem.reserves
    price = prices.reserve_per_kw[product, interval] / step_h[interval]
    names = [f"{whole.reserve_id[k]} in interval {t}" for k, t in cells]
    table = Reserves(
        reserve_id=(*own.reserve_id, *names),
        where=(*own.where, *names),
        group=np.concatenate([own.group, np.full(len(cells), NO_GROUP)]),
        is_up=np.concatenate([own.is_up, whole.is_up[product]]),
        p_kw_required=np.concatenate([own.p_kw_required.reshape(-1, len(step_h)), required]),
        duration_h=np.concatenate([own.duration_h, whole.duration_h[product]]),
        breach_price_per_kwh=np.concatenate([own.breach_price_per_kwh, price]),
    )
    return table, np.concatenate([part.reserves, product])


def reserve_in_part(plan: Plan, part: Excerpt) -> Floats:
    """What a plan keeps of a part's products, by the part's pairs."""
    places = {tuple(pair): at for at, pair in enumerate(plan.problem.reserve_pairs.tolist())}
    product, battery = part.problem.reserve_pairs.T
    at = [
        places[int(part.reserves[k]), int(part.batteries[i])]
        for k, i in zip(product, battery, strict=True)
    ]
    asked = part.problem.reserves.p_kw_required[product] > 0
    kept = plan.reserve_kw[np.array(at, dtype=np.int64)]
    return np.where(asked, kept, 0.0) if len(at) else kept
