"""What reserves a plan may keep: its powers and energies decide."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from optimizer.reach import band_yields
from optimizer.tables.reserve import Reserves

if TYPE_CHECKING:
    import numpy.typing as npt

    from optimizer.problem import DispatchProblem

    Floats = npt.NDArray[np.float64]


def reserve_within(
    problem: DispatchProblem, p_kw: Floats, energy_kwh: Floats, reserve_kw: Floats
) -> Floats:
    """Reserves cut to what powers and energies leave room for, shape (P, T).

    A battery's products in one direction are cut by a common factor. One whose band cannot be kept
    keeps no reserve. Takes off a solver's rounding, and what rounding the powers has spent.

    Args:
        problem: what was asked.
        p_kw: shape (N, T), positive charging.
        energy_kwh: shape (N, T+1).
        reserve_kw: shape (P, T), by the pairs of `problem.reserve_pairs`.
    """
    b, products = problem.batteries, problem.reserves
    product, battery = problem.reserve_pairs.T
    kept = np.maximum(reserve_kw, 0.0)
    if not len(product):
        return kept
    kept[band_yields(problem)[battery]] = 0.0
    low, high = reserve_band_kwh(problem)
    for is_up in (True, False):
        mine = np.flatnonzero(products.is_up[product] == is_up)
        rows, place = np.unique(battery[mine], return_inverse=True)
        power = b.p_discharge_kw_max[rows] + p_kw[rows]
        held = energy_kwh[rows] - low[rows]
        per_kw = 1.0 / b.efficiency_discharge[battery[mine]]
        if not is_up:
            power, held = b.p_charge_kw_max[rows] - p_kw[rows], high[rows] - energy_kwh[rows]
            per_kw = b.efficiency_charge[battery[mine]]
        behind = per_kw * products.duration_h[product[mine], None] * kept[mine]
        share = np.minimum(
            _share(power, _sums(kept[mine], place, len(rows))),
            _share(np.minimum(held[:, :-1], held[:, 1:]), _sums(behind, place, len(rows))),
        )
        kept[mine] *= share[place]
    return kept


def reserve_band_kwh(problem: DispatchProblem) -> tuple[Floats, Floats]:
    """The band that energy behind reserves keeps, shapes (N, T+1).

    At the start it is widened to the energy that is there: who starts outside can only keep none.
    """
    b = problem.batteries
    low, high = b.energy_kwh_min.copy(), b.energy_kwh_max.copy()
    low[:, 0] = np.minimum(low[:, 0], b.energy_kwh_initial)
    high[:, 0] = np.maximum(high[:, 0], b.energy_kwh_initial)
    return low, high


def _sums(values: Floats, place: npt.NDArray[np.intp], count: int) -> Floats:
    total = np.zeros((count, values.shape[1]))
    np.add.at(total, place, values)
    return total


def _share(room: Floats, asked: Floats) -> Floats:
    room = np.maximum(room, 0.0)
    return np.where(asked > room, room / np.where(asked > 0, asked, 1.0), 1.0)


def held_back(problem: DispatchProblem, reserve_kw: Floats) -> DispatchProblem:
    """The problem without its products, in batteries that leave room for what a plan keeps of them.

    A power that must not fall to 0, because a reserve leans on it, is not held: most powers cannot
    be negative.

    Args:
        problem: what was asked.
        reserve_kw: shape (P, T), what is kept.
    """
    b, products = problem.batteries, problem.reserves
    if not len(products):
        return problem
    product, battery = problem.reserve_pairs.T
    low, high = b.energy_kwh_min.copy(), b.energy_kwh_max.copy()
    charge, discharge = b.p_charge_kw_max.copy(), b.p_discharge_kw_max.copy()
    for is_up in (True, False):
        mine = np.flatnonzero(products.is_up[product] == is_up)
        rows, place = np.unique(battery[mine], return_inverse=True)
        kept, hours = reserve_kw[mine], products.duration_h[product[mine], None]
        rate = b.efficiency_charge[battery[mine]]
        per_kw = 1.0 / b.efficiency_discharge[battery[mine]] if is_up else rate
        behind = _sums(per_kw * hours * kept, place, len(rows))
        at_instant = np.zeros((len(rows), len(problem.grid) + 1))
        at_instant[:, :-1] = behind
        at_instant[:, 1:] = np.maximum(at_instant[:, 1:], behind)
        power = discharge if is_up else charge
        power[rows] = np.maximum(power[rows] - _sums(kept, place, len(rows)), 0.0)
        if is_up:
            low[rows] += at_instant
        else:
            high[rows] -= at_instant
    batteries = replace(
        b,
        energy_kwh_min=np.minimum(low, np.maximum(high, b.energy_kwh_min)),
        energy_kwh_max=np.maximum(high, np.minimum(low, b.energy_kwh_max)),
        p_charge_kw_max=charge,
        p_discharge_kw_max=discharge,
    )
    return replace(problem, batteries=batteries, reserves=Reserves.none())
