"""Reserves in the certificate: what a plan says that it keeps, and the bound's term."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from optimizer.certificate import flows
from optimizer.certificate.excess import Excess
from optimizer.reach import band_yields

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from optimizer.certificate.excess import Reported
    from optimizer.plan import Multipliers, Plan
    from optimizer.problem import DispatchProblem

    Floats = npt.NDArray[np.float64]


def reserves_at_best(problem: DispatchProblem, prices: Multipliers) -> float:
    """What is required at its price, and what each battery keeps of it at its best.

    No battery keeps more than its whole range of power, nor need it keep more than is required.
    """
    products = problem.reserves
    if not len(products):
        return 0.0
    owed = (prices.reserve_per_kw * products.p_kw_required).sum(axis=1)
    best = [owed, *(_kept_at_best(problem, prices, is_up=is_up) for is_up in (True, False))]
    return math.fsum(value for values in best for value in values)


def _kept_at_best(problem: DispatchProblem, prices: Multipliers, *, is_up: bool) -> Floats:
    """The least that each pair of one direction can cost, shape (pairs,)."""
    products, b = problem.reserves, problem.batteries
    pairs = problem.reserve_pairs[~band_yields(problem)[problem.reserve_pairs[:, 1]]]
    product, battery = pairs[products.is_up[pairs[:, 0]] == is_up].T
    at = np.searchsorted(problem.reserve_batteries, battery)
    power, energy = prices.reserve_charge_per_kw[at], prices.reserve_energy_max_per_kwh[at]
    per_kw = b.efficiency_charge[battery]
    if is_up:
        power, energy = prices.reserve_discharge_per_kw[at], prices.reserve_energy_min_per_kwh[at]
        per_kw = 1.0 / b.efficiency_discharge[battery]
    behind = energy.sum(axis=2) * per_kw * products.duration_h[product, None]
    reduced = power + behind - prices.reserve_per_kw[product]
    most = b.p_charge_kw_max[battery] + b.p_discharge_kw_max[battery]
    most = np.minimum(most, products.p_kw_required[product])
    return np.asarray((np.minimum(reduced, 0.0) * most).sum(axis=1))


def reserve_rules(plan: Plan, reported: Reported) -> Iterator[Excess]:
    """Reserves are held in power and energy, and what is missing of a product is reported."""
    problem, products, starts = plan.problem, plan.problem.reserves, plan.problem.grid.starts
    if not len(products):
        return
    energy = flows.stored_energy_kwh(problem, plan.p_charge_kw, plan.p_discharge_kw)
    yield from _held_rules(plan, energy)
    kept = flows.reserve_by_product_kw(problem, plan.reserve_kw)
    known = reported.table("reserve", "below", products.reserve_id, starts)
    hidden = np.maximum(products.p_kw_required - kept - known, 0.0)
    yield Excess(
        "reserve", "kW", products.reserve_id, hidden, products.p_kw_required,
        lambda _, at: starts[at],
    )  # fmt: skip


def _held_rules(plan: Plan, energy: Floats) -> Iterator[Excess]:
    problem, b, starts = plan.problem, plan.problem.batteries, plan.problem.grid.starts
    rows = problem.reserve_batteries
    names = [b.battery_id[row] for row in rows]
    p_kw = (plan.p_charge_kw - plan.p_discharge_kw)[rows]
    edges, held = flows.reserve_edges_kwh(problem, rows), energy[rows]
    for is_up, power, most, room in (
        (True, -p_kw, b.p_discharge_kw_max[rows], held - edges[0]),
        (False, p_kw, b.p_charge_kw_max[rows], edges[1] - held),
    ):
        asked, behind, negative = _asked(plan, rows, is_up=is_up)
        # Without reserve there is no rule beside those on power and band.
        over = np.where(asked > 0, np.maximum(power + asked - most, 0.0), 0.0)
        beyond = np.maximum(over, negative)
        beyond = np.where(band_yields(problem)[rows, None], np.abs(asked), beyond)
        yield Excess("reserve power", "kW", names, beyond, most, lambda _, at: starts[at])
        least = np.minimum(room[:, :-1], room[:, 1:])
        lacking = np.where(behind > 0, np.maximum(behind - least, 0.0), 0.0)
        yield Excess("reserve energy", "kWh", names, lacking, behind, lambda _, at: starts[at])


def _asked(
    plan: Plan, rows: npt.NDArray[np.int64], *, is_up: bool
) -> tuple[Floats, Floats, Floats]:
    """Power held ready in one direction, energy behind it, and powers below 0; (rows, T)."""
    problem, products, b = plan.problem, plan.problem.reserves, plan.problem.batteries
    pairs = np.flatnonzero(products.is_up[problem.reserve_pairs[:, 0]] == is_up)
    product, battery = problem.reserve_pairs[pairs].T
    at, kept = np.searchsorted(rows, battery), plan.reserve_kw[pairs]
    per_kw = 1.0 / b.efficiency_discharge[battery] if is_up else b.efficiency_charge[battery]
    power = np.zeros((len(rows), len(problem.grid)))
    energy, negative = power.copy(), power.copy()
    np.add.at(power, at, kept)
    np.add.at(energy, at, kept * products.duration_h[product, None] * per_kw)
    np.maximum.at(negative, at, -kept)
    return power, energy, negative
