"""Secant cuts: how much of a plan the grid can carry, area by area.

A plan that breaks limits is sent back with bounds on the batteries' net power in the areas that
carry the effect. Between the flow without batteries and the flow with the plan, each loading and
each voltage is taken as linear in the net power of the area's batteries:

    p_bound = p_plan · (limit − base) / (value − base)

shrunk by a margin. No derivative is needed, the bound never asks for the other sign, and where the
limit is broken without batteries it is zero in the direction that makes things worse. The true
curves bend, so a second round may be needed.

A line or transformer is carried by the area it feeds. A voltage is carried by the smallest area
around the bus that explains most of its change: one whose head (the bus on the feeding side) moves
by less than `HEAD_SHARE_MAX` of what the bus itself moves. An area whose batteries hardly move, or
move the other way, cannot mend a breach: the next one around it is taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gridsim.grid.breaches import BUS, FLOW, LINE, Breach, Breaches

if TYPE_CHECKING:
    import numpy.typing as npt
    import xarray as xr

    from gridsim.grid.areas import AreaTree
    from gridsim.grid.network import Grid

    Floats = npt.NDArray[np.float64]
    Positions = npt.NDArray[np.int64]

MARGIN = 0.01
"""Share of the bound that is held back."""
HEAD_SHARE_MAX = 0.3
P_KW_MIN = 1e-3
"""Less net power than a watt moves nothing."""


@dataclass(frozen=True)
class Cut:
    """A bound on the net power of an area's batteries in one interval.

    Attributes:
        area_id: which area.
        interval: position on the flow's ``time``.
        p_kw_max: largest net power (charging), infinite where only `p_kw_min` binds.
        p_kw_min: smallest net power (discharging), minus infinite where only `p_kw_max` binds.
        caused_by: the breach that asks for the tightest bound.
    """

    area_id: str
    interval: int
    p_kw_max: float
    p_kw_min: float
    caused_by: Breach


def secant_cuts(
    grid: Grid,
    tree: AreaTree,
    flow: xr.Dataset,
    baseline: xr.Dataset,
    p_kw: xr.DataArray,
    storage_bus: Positions,
    breaches: Breaches,
    *,
    margin: float = MARGIN,
) -> list[Cut]:
    """Bounds that would mend every new and every worsened breach, the tightest for each area.

    Args:
        grid: the grid.
        tree: its areas.
        flow, baseline: the flows with and without batteries.
        p_kw: the plan behind `flow`, dims (battery, time).
        storage_bus: each battery's row in the bus table (`PowerFlow.storage_bus`).
        breaches: what `find_breaches` found in `flow`.
        margin: share of each bound to hold back.

    Returns:
        cuts by interval and area. A breach that no area's batteries can mend makes none.
    """
    plan = np.asarray(p_kw.transpose("battery", "time").to_numpy(), dtype=np.float64)
    found = breaches.counting
    carriers = _Carriers(grid, tree, flow, baseline, tree.sums(storage_bus, plan))
    share = (1.0 - margin) * carriers.shares(found)
    tightest: dict[tuple[int, int, bool], tuple[float, int]] = {}
    for at in range(len(found)):
        if found.kind[at] == FLOW:
            chosen = carriers.roots(int(found.interval[at]))
        else:
            chosen = [carriers.area(found, at)]
        for area in chosen:
            if area < 0:
                continue
            interval = int(found.interval[at])
            bound = float(carriers.p_kw[area, interval] * share[at])
            key = (interval, area, carriers.p_kw[area, interval] > 0)
            if key not in tightest or abs(bound) < abs(tightest[key][0]):
                tightest[key] = (bound, at)
    return [
        _cut(tree.areas[area].area_id, interval, bound, charging, found[at])
        for (interval, area, charging), (bound, at) in sorted(tightest.items())
    ]


def _cut(area_id: str, interval: int, bound: float, charging: bool, breach: Breach) -> Cut:
    high, low = (bound, -np.inf) if charging else (np.inf, bound)
    return Cut(area_id, interval, high, low, breach)


class _Carriers:
    """Finds the area that carries a breach, and what share of the plan's effect is allowed."""

    def __init__(
        self, grid: Grid, tree: AreaTree, flow: xr.Dataset, baseline: xr.Dataset, p_kw: Floats
    ) -> None:
        self.tree = tree
        self.p_kw = p_kw
        self.v_change = flow["v_pu"].to_numpy() - baseline["v_pu"].to_numpy()
        self.turned = {
            kind: np.sign(flow[name].to_numpy()) * np.sign(baseline[name].to_numpy()) < 0
            for kind, name in ((LINE, "line_p_kw"), ("transformer", "transformer_p_kw"))
        }
        self.head = np.array([area.head for area in tree.areas], dtype=np.int64)

    def shares(self, found: Breaches) -> Floats:
        """(limit − base) / (value − base), between 0 and 1; 0 where the base breaks the limit."""
        base = found.baseline.copy()
        for kind, turned in self.turned.items():
            at = np.flatnonzero(found.kind == kind)
            # Loading has no sign: a flow that the plan turned round has come the longer way.
            base[at] = np.where(turned[found.position[at], found.interval[at]], -base[at], base[at])
        with np.errstate(invalid="ignore", divide="ignore"):
            share = (found.limit - base) / (found.value - base)
        # Nothing is known of a flow that did not converge; half of the plan is tried next.
        share = np.where(found.kind == FLOW, 0.5, share)
        share = np.where(found.preexisting, 0.0, share)
        return np.clip(np.nan_to_num(share, nan=0.0), 0.0, 1.0)

    def roots(self, interval: int) -> list[int]:
        """The outermost areas whose batteries move."""
        moving = np.abs(self.p_kw[:, interval]) > P_KW_MIN
        return np.flatnonzero((self.tree.parent < 0) & moving).tolist()

    def area(self, found: Breaches, at: int) -> int:
        """The area to bound for finding `at`, or -1."""
        position, interval = int(found.position[at]), int(found.interval[at])
        if found.kind[at] != BUS:
            of = self.tree.of_line if found.kind[at] == LINE else self.tree.of_transformer
            return self._first_moving(self.tree.ancestors(int(of[position])), interval, 0)
        # Charging pulls voltage down, discharging pushes it up.
        direction = 1 if found.side[at] == "low" else -1
        chain = self.tree.ancestors(int(self.tree.of_bus[position]))
        change = self.v_change[position, interval]
        start = next(
            (
                k
                for k, area in enumerate(chain)
                if self._head_change(area, interval) * np.sign(change)
                <= HEAD_SHARE_MAX * abs(change)
            ),
            len(chain) - 1,
        )
        return self._first_moving(chain[max(start, 0) :], interval, direction)

    def _head_change(self, area: int, interval: int) -> float:
        head = self.head[area]
        return float(self.v_change[head, interval]) if head >= 0 else np.inf

    def _first_moving(self, chain: list[int], interval: int, direction: int) -> int:
        for area in chain:
            power = self.p_kw[area, interval]
            if abs(power) > P_KW_MIN and power * direction >= 0:
                return area
        return -1
