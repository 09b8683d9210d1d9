"""Reserves: power held ready beside what a battery does, and the energy behind it."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pyomo.environ as pyo

from optimizer.formulation.battery import energy_at, power_of
from optimizer.reach import band_yields

if TYPE_CHECKING:
    from optimizer.formulation.layout import Cell, Layout


class _Kept:
    """Which batteries keep which products, and when."""

    def __init__(self, x: Layout) -> None:
        self._x = x
        self.is_up = x.problem.reserves.is_up

    @cached_property
    def cells(self) -> list[tuple[int, int, int]]:
        """Product, battery and interval of every column."""
        wanted, keeps = self._x.problem.reserves.p_kw_required > 0, ~band_yields(self._x.problem)
        return [
            (k, i, t)
            for k, i in self._x.problem.reserve_pairs.tolist()
            if keeps[i]
            for t in np.flatnonzero(wanted[k]).tolist()
        ]

    def by_battery(self, *, up: bool, energy: bool = False) -> dict[Cell, list[int]]:
        """Products that each battery keeps in one direction, by battery and interval.

        With `energy` only those that ask for any.
        """
        asks = self._x.problem.reserves.duration_h > 0
        found: dict[Cell, list[int]] = {}
        for k, i, t in self.cells:
            if self.is_up[k] == up and (asks[k] or not energy):
                found.setdefault((i, t), []).append(k)
        return found


def add_reserves(m: pyo.ConcreteModel, x: Layout) -> None:
    """Columns of what each battery keeps of each product, and of what is missing of it."""
    products, domain = x.problem.reserves, pyo.NonNegativeReals
    m.reserve_kw = pyo.Var(_Kept(x).cells, domain=domain)
    wanted = [(k, t) for k, t in np.argwhere(products.p_kw_required > 0).tolist()]
    m.reserve_short_kw = pyo.Var(wanted, domain=domain)


def reserve_charge(m: pyo.ConcreteModel, x: Layout) -> None:
    """p[t] + Σ reserve down[t] ≤ C[t]."""
    most, kept = x.problem.batteries.p_charge_kw_max, _Kept(x).by_battery(up=False)

    def rule(m: pyo.ConcreteModel, i: int, t: int) -> Any:
        held = sum(m.reserve_kw[k, i, t] for k in kept[i, t])
        return power_of(m, i, t) + held <= float(most[i, t])

    if kept:
        m.reserve_charge = pyo.Constraint(list(kept), rule=rule)


def reserve_discharge(m: pyo.ConcreteModel, x: Layout) -> None:
    """−p[t] + Σ reserve up[t] ≤ D[t]."""
    most, kept = x.problem.batteries.p_discharge_kw_max, _Kept(x).by_battery(up=True)

    def rule(m: pyo.ConcreteModel, i: int, t: int) -> Any:
        held = sum(m.reserve_kw[k, i, t] for k in kept[i, t])
        return -power_of(m, i, t) + held <= float(most[i, t])

    if kept:
        m.reserve_discharge = pyo.Constraint(list(kept), rule=rule)


def reserve_energy_min(m: pyo.ConcreteModel, x: Layout) -> None:
    """e[t+s] − Σ duration/η_d·reserve up[t] ≥ E_min[t+s], at both ends of the interval."""
    b, hours = x.problem.batteries, x.problem.reserves.duration_h
    low, kept = x.reserve_band_kwh[0], _Kept(x).by_battery(up=True, energy=True)

    def rule(m: pyo.ConcreteModel, i: int, t: int, end: int) -> Any:
        efficiency = float(b.efficiency_discharge[i, t])
        behind = sum(float(hours[k]) / efficiency * m.reserve_kw[k, i, t] for k in kept[i, t])
        edge = float(low[i, t + end])
        if x.band_yields[i] and t + end:  # only in a model all of whose bands yield
            edge = edge - m.band_below_kwh[i, t + end]
        return energy_at(m, x, i, t + end) - behind >= edge

    if kept:
        index = [(i, t, end) for i, t in kept for end in (0, 1)]
        m.reserve_energy_min = pyo.Constraint(index, rule=rule)


def reserve_energy_max(m: pyo.ConcreteModel, x: Layout) -> None:
    """e[t+s] + Σ duration·η_c·reserve down[t] ≤ E_max[t+s], at both ends of the interval."""
    b, hours = x.problem.batteries, x.problem.reserves.duration_h
    high, kept = x.reserve_band_kwh[1], _Kept(x).by_battery(up=False, energy=True)

    def rule(m: pyo.ConcreteModel, i: int, t: int, end: int) -> Any:
        efficiency = float(b.efficiency_charge[i, t])
        behind = sum(float(hours[k]) * efficiency * m.reserve_kw[k, i, t] for k in kept[i, t])
        edge = float(high[i, t + end])
        if x.band_yields[i] and t + end:  # only in a model all of whose bands yield
            edge = edge + m.band_above_kwh[i, t + end]
        return energy_at(m, x, i, t + end) + behind <= edge

    if kept:
        index = [(i, t, end) for i, t in kept for end in (0, 1)]
        m.reserve_energy_max = pyo.Constraint(index, rule=rule)


def reserve_kept(m: pyo.ConcreteModel, x: Layout) -> None:
    """Σ over batteries of reserve[t] + short[t] ≥ required[t], per product."""
    required, by_product = x.problem.reserves.p_kw_required, dict[tuple[int, int], list[int]]()
    for k, i, t in m.reserve_kw:
        by_product.setdefault((k, t), []).append(i)

    def rule(m: pyo.ConcreteModel, k: int, t: int) -> Any:
        held = sum(m.reserve_kw[k, i, t] for i in by_product.get((k, t), ()))
        return held + m.reserve_short_kw[k, t] >= float(required[k, t])

    if len(m.reserve_short_kw):
        m.reserve_kept = pyo.Constraint(list(m.reserve_short_kw), rule=rule)
