"""What the grid lets the batteries of an area do, interval by interval.

The bounds start from the ratings of the transformers and are tightened by the cuts that a power
flow asks for. They are on the *batteries'* net power alone: everything else is as it is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from gridsim.grid import area_tree

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt
    import xarray as xr

    from gridsim.grid import AreaTree, Cut, Grid

    Floats = npt.NDArray[np.float64]

RATING_SHARE = 0.98
"""Share of a transformer's rating planned for; losses and reactive losses need the rest."""
LOSS_SHARE = 0.985
"""Share of the active power that reaches the area: the rest is lost in its lines."""


@dataclass(frozen=True, eq=False)
class AreaBounds:
    """Bounds on the batteries' net power of nested areas.

    Attributes:
        tree: the areas, A of them.
        p_kw_max: shape (A, T), most that the area's batteries may draw together; inf for none.
        p_kw_min: shape (A, T), least; negative where they may deliver.

    Rest is always allowed: cuts shrink what a plan did, so that ``p_kw_min ≤ 0 ≤ p_kw_max``.
    """

    tree: AreaTree
    p_kw_max: Floats
    p_kw_min: Floats

    @classmethod
    def from_ratings(cls, grid: Grid, profiles: xr.Dataset) -> AreaBounds:
        """What the transformers' ratings leave free beside load and generation."""
        tree = area_tree(grid)
        p_kw, q_kvar = _base_power(grid, tree, profiles)
        rating = np.array([area.s_kva for area in tree.areas])[:, None]
        apparent = RATING_SHARE * grid.transformers.loading_max.min(initial=1.0) * rating
        room = LOSS_SHARE * np.sqrt(np.maximum(apparent**2 - q_kvar**2, 0.0))
        is_rated = np.array([area.kind == "transformer" for area in tree.areas])[:, None]
        # An area that is over its rating already lets its batteries do nothing that adds to it.
        top = np.where(is_rated, np.maximum(room - p_kw, 0.0), np.inf)
        bottom = np.where(is_rated, np.minimum(-room - p_kw, 0.0), -np.inf)
        return cls(tree, top, bottom)

    def tightened(self, cuts: Iterable[Cut]) -> AreaBounds:
        """These bounds and the cuts."""
        top, bottom = self.p_kw_max.copy(), self.p_kw_min.copy()
        for cut in cuts:
            at = self.tree.position[cut.area_id], cut.interval
            top[at] = min(top[at], cut.p_kw_max)
            bottom[at] = max(bottom[at], cut.p_kw_min)
        return replace(self, p_kw_max=top, p_kw_min=bottom)

    def held(self, cuts: Iterable[Cut], p_kw: Floats, levels: int) -> AreaBounds:
        """These bounds, and in the neighbourhood of each cut no more than the plan's own, shrunk.

        A cut alone moves power to the next place, which may break its own limit in the next round.

        Args:
            cuts: that followed from a plan.
            p_kw: shape (A, T), net power of each area's batteries in that plan.
            levels: how far the neighbourhood reaches: all that lies in the area that is so many
                steps above the cut.
        """
        top, bottom = self.p_kw_max.copy(), self.p_kw_min.copy()
        for cut in cuts:
            at, t = self.tree.position[cut.area_id], cut.interval
            around = self.tree.ancestors(at)
            inside = self._inside(around[min(levels, len(around) - 1)])
            if np.isfinite(cut.p_kw_max):
                share = cut.p_kw_max / p_kw[at, t]
                most = share * np.maximum(p_kw[inside, t], 0.0)
                top[inside, t] = np.minimum(top[inside, t], most)
            if np.isfinite(cut.p_kw_min):
                share = cut.p_kw_min / p_kw[at, t]
                least = share * np.minimum(p_kw[inside, t], 0.0)
                bottom[inside, t] = np.maximum(bottom[inside, t], least)
        return replace(self, p_kw_max=top, p_kw_min=bottom)

    def _inside(self, area: int) -> npt.NDArray[np.bool_]:
        """Which areas lie in `area`, itself included."""
        inside = np.zeros(len(self.tree), dtype=bool)
        inside[area] = True
        for at in range(area + 1, len(self.tree)):  # an area comes after the one around it
            parent = self.tree.parent[at]
            inside[at] = parent >= 0 and inside[parent]
        return inside

    @property
    def in_use(self) -> list[int]:
        """Positions of the areas that are bounded in any interval."""
        bounded = np.isfinite(self.p_kw_max) | np.isfinite(self.p_kw_min)
        return np.flatnonzero(bounded.any(axis=1)).tolist()


def _base_power(grid: Grid, tree: AreaTree, profiles: xr.Dataset) -> tuple[Floats, Floats]:
    """Net active and reactive power of each area's loads and generators, shape (A, T) each."""
    load_bus = grid.buses.positions(grid.loads.bus)
    generator_bus = grid.buses.positions(grid.generators.bus)
    load_kw = tree.sums(load_bus, profiles["load_kw"].to_numpy())
    load_kvar = tree.sums(load_bus, profiles["load_kvar"].to_numpy())
    generation_kw = tree.sums(generator_bus, profiles["generation_kw"].to_numpy())
    return load_kw - generation_kw, load_kvar
