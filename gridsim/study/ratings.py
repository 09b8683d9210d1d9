"""What the transformers' ratings leave to the batteries of the areas behind them.

The first limits of a study, known without a power flow. They bound the *batteries'* net power
alone: everything else is as it is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from gridsim.grid import area_tree

if TYPE_CHECKING:
    import numpy.typing as npt
    import xarray as xr

    from gridsim.grid import AreaTree, Grid

    Floats = npt.NDArray[np.float64]

RATING_SHARE = 0.98
"""Share of a transformer's rating planned for; losses and reactive losses need the rest."""
LOSS_SHARE = 0.985
"""Share of the active power that reaches the area: the rest is lost in its lines."""


@dataclass(frozen=True, eq=False)
class AreaBounds:
    """Bounds on the net power of the batteries of nested areas.

    Attributes:
        tree: all areas of the grid.
        rows: shape (A,), which of them are bounded.
        p_kw_max: shape (A, T), most that the area's batteries may draw together.
        p_kw_min: shape (A, T), least; negative where they may deliver.
    """

    tree: AreaTree
    rows: npt.NDArray[np.int64]
    p_kw_max: Floats
    p_kw_min: Floats

    @classmethod
    def from_ratings(cls, grid: Grid, profiles: xr.Dataset) -> AreaBounds:
        """What the transformers' ratings leave free beside load and generation."""
        tree = area_tree(grid)
        is_rated = np.array([area.kind == "transformer" for area in tree.areas], dtype=bool)
        rows = np.flatnonzero(is_rated)
        p_kw, q_kvar = (values[rows] for values in _base_power(grid, tree, profiles))
        rating = np.array([tree.areas[row].s_kva for row in rows.tolist()])[:, None]
        apparent = RATING_SHARE * grid.transformers.loading_max.min(initial=1.0) * rating
        room = LOSS_SHARE * np.sqrt(np.maximum(apparent**2 - q_kvar**2, 0.0))
        # An area that is over its rating already lets its batteries do nothing that adds to it.
        top, bottom = np.maximum(room - p_kw, 0.0), np.minimum(-room - p_kw, 0.0)
        return cls(tree, rows, top, bottom)

    @property
    def names(self) -> list[str]:
        """Ids of the bounded areas."""
        return [self.tree.areas[row].area_id for row in self.rows.tolist()]

    def around(self, areas: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """For each area (-1: none) the place of the smallest bounded area around it, or -1."""
        nearest = np.full(len(self.tree) + 1, -1, dtype=np.int64)
        place = np.full(len(self.tree), -1, dtype=np.int64)
        place[self.rows] = np.arange(self.rows.size)
        for at in range(len(self.tree)):  # an area comes after the one around it
            nearest[at] = place[at] if place[at] >= 0 else nearest[self.tree.parent[at]]
        return nearest[areas]

    @property
    def parent(self) -> npt.NDArray[np.int64]:
        """Place of the next bounded area around each bounded area, or -1; shape (A,)."""
        return self.around(self.tree.parent[self.rows])

    def with_limits(self, p_kw_max: Floats, p_kw_min: Floats) -> AreaBounds:
        """The same areas with other bounds."""
        return replace(self, p_kw_max=p_kw_max, p_kw_min=p_kw_min)


def _base_power(grid: Grid, tree: AreaTree, profiles: xr.Dataset) -> tuple[Floats, Floats]:
    """Net active and reactive power of each area's loads and generators, shape (A, T) each."""
    load_bus = grid.buses.positions(grid.loads.bus)
    generator_bus = grid.buses.positions(grid.generators.bus)
    load_kw = tree.sums(load_bus, profiles["load_kw"].to_numpy())
    load_kvar = tree.sums(load_bus, profiles["load_kvar"].to_numpy())
    generation_kw = tree.sums(generator_bus, profiles["generation_kw"].to_numpy())
    return load_kw - generation_kw, load_kvar
