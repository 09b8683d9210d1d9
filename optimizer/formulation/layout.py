"""Which columns and rows a problem needs, and their coefficients.

The formulation has a column only where a power may differ from 0 and a row only where it can bind:
a session that is away has no columns, an infinite limit has no rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from optimizer.reach import BAND_FACTOR, band_yields
from optimizer.reserves import reserve_band_kwh

if TYPE_CHECKING:
    import numpy.typing as npt

    from optimizer.problem import DispatchProblem

    Floats = npt.NDArray[np.float64]
    Mask = npt.NDArray[np.bool_]

Cell = tuple[int, int]


def cells(mask: Mask) -> list[Cell]:
    """The (row, column) pairs where `mask` is true, by row."""
    return [(row, column) for row, column in np.argwhere(mask).tolist()]


@dataclass(frozen=True, eq=False)
class Layout:
    """Coefficients and index masks of one model.

    Attributes:
        problem: what was asked.
        exclusive: shape (N, T), where a binary must keep charging and discharging apart; where
            it is false either prices keep them apart or the caller checks the answer.
    """

    problem: DispatchProblem
    exclusive: Mask

    @cached_property
    def p_charge_kw_max(self) -> Floats:
        """Shape (N, T); 0 where the least power cannot be reached."""
        b = self.problem.batteries
        reachable = b.p_charge_kw_max >= b.p_charge_kw_min[:, None]
        return np.where(reachable, b.p_charge_kw_max, 0.0)

    @cached_property
    def p_discharge_kw_max(self) -> Floats:
        """Shape (N, T); 0 where the least power cannot be reached."""
        b = self.problem.batteries
        reachable = b.p_discharge_kw_max >= b.p_discharge_kw_min[:, None]
        return np.where(reachable, b.p_discharge_kw_max, 0.0)

    @cached_property
    def p_charge_kw_least(self) -> Floats:
        """Least power when charging, shape (N, T): on/off is a least power of the most power."""
        b = self.problem.batteries
        on_off = (b.power_levels == 1)[:, None]
        return np.where(on_off, self.p_charge_kw_max, b.p_charge_kw_min[:, None])

    @cached_property
    def p_discharge_kw_least(self) -> Floats:
        """Least power when discharging, shape (N, T)."""
        b = self.problem.batteries
        on_off = (b.power_levels == 1)[:, None]
        return np.where(on_off, self.p_discharge_kw_max, b.p_discharge_kw_min[:, None])

    @cached_property
    def charges(self) -> Mask:
        """Cells with a charging power, shape (N, T)."""
        return self.p_charge_kw_max > 0

    @cached_property
    def discharges(self) -> Mask:
        """Cells with a discharging power, shape (N, T)."""
        return self.p_discharge_kw_max > 0

    @cached_property
    def kept_apart(self) -> Mask:
        """Cells whose two directions exclude each other by a binary, shape (N, T)."""
        discrete = self.problem.batteries.is_discrete[:, None]
        return self.charges & self.discharges & (self.exclusive | discrete)

    @cached_property
    def has_charge_mode(self) -> Mask:
        """Cells with a binary "is charging", shape (N, T)."""
        least = self.charges & (self.p_charge_kw_least > 0)
        return least | (self.kept_apart & ~self.has_discharge_mode)

    @cached_property
    def has_discharge_mode(self) -> Mask:
        """Cells with a binary "is discharging", shape (N, T)."""
        return self.discharges & (self.p_discharge_kw_least > 0)

    @cached_property
    def stepped(self) -> Mask:
        """Batteries with two or more equal steps, shape (N,)."""
        return self.problem.batteries.power_levels > 1

    @cached_property
    def gain_kwh_per_kw(self) -> Floats:
        """Stored energy gained by a kW of charging, shape (N, T)."""
        return self.problem.batteries.efficiency_charge * self.problem.grid.step_h

    @cached_property
    def drain_kwh_per_kw(self) -> Floats:
        """Stored energy drained by a kW of discharging, shape (N, T)."""
        return self.problem.grid.step_h / self.problem.batteries.efficiency_discharge

    @cached_property
    def inflow_kwh(self) -> Floats:
        """Energy that arrives beside the converter, shape (N, T)."""
        return self.problem.batteries.inflow_kw * self.problem.grid.step_h

    @cached_property
    def band_yields(self) -> Mask:
        """Batteries whose band has a priced slack, shape (N,)."""
        return band_yields(self.problem)

    @cached_property
    def reserve_band_kwh(self) -> tuple[Floats, Floats]:
        """Edges that the energy behind reserves keeps, shapes (N, T+1)."""
        return reserve_band_kwh(self.problem)

    @property
    def firm_price_per_kwh(self) -> float:
        """Price of breaking what has no price of its own."""
        return self.problem.firm_price_per_kwh

    @property
    def band_price_per_kwh(self) -> float:
        """Price of energy outside a band that must yield, per kWh and instant."""
        return BAND_FACTOR * self.problem.firm_price_per_kwh

    @cached_property
    def hours_between(self) -> Floats:
        """Hours between the middles of an interval and the one before, shape (T,)."""
        step_h = self.problem.grid.step_h
        before = np.concatenate([step_h[:1], step_h[:-1]])
        return np.asarray((before + step_h) / 2)

    @cached_property
    def is_split(self) -> Mask:
        """Sites and intervals whose import and export prices differ, shape (G, T)."""
        groups = self.problem.groups
        differ = groups.price_import_per_kwh != groups.price_export_per_kwh
        return np.asarray(differ & groups.is_site[:, None])

    @cached_property
    def is_limited(self) -> Mask:
        """Groups and intervals whose net some row holds, the whole as the last row, (G+1, T)."""
        limits, rows = self.problem.limits, self.problem.network
        bounds = np.isfinite(limits.p_kw_max) | np.isfinite(limits.p_kw_min)
        limited = np.zeros((len(self.problem.groups) + 1, len(self.problem.grid)), dtype=bool)
        np.logical_or.at(limited, limits.group, bounds)
        limited[limits.group[limits.has_ramp]] = True
        limited[self.problem.positions.group] = True
        of_group = rows.entry_unit < 0
        limited[rows.entry_group[of_group], rows.interval[rows.entry_row[of_group]]] = True
        return limited
