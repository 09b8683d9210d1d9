"""The dense system of the network rows: M + 1/θx, formed by the kernels of `across` and `dense`.

Pairs of whole entries, which are nearly all of M, are one product an interval: the weights of its
rows times the nodes' responses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from optimizer.engine import across as kernels
from optimizer.engine import dense

if TYPE_CHECKING:
    import numpy.typing as npt

    from optimizer.engine.across import Across
    from optimizer.engine.batteries import Alone
    from optimizer.engine.boxes import Box
    from optimizer.engine.loop import Team
    from optimizer.engine.nodes import Nodes

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]
    Flags = npt.NDArray[np.bool_]

_LOST = 1e-13
"""Share of M's diagonal, before what is taken off, that rounding may have left in it."""


@dataclass(frozen=True, eq=False)
class Top:
    """Network rows of a piece of work and their system.

    Attributes:
        kept: shape (K,), the rows' places in the fleet's `Binding`.
        across: their entries and state.
        box: shape (K, 3), parts of their values.
        system: shape (K, K), its upper triangle M + 1/θx or the factor of that.
        weight: shape (Q, K), weights of the whole entries at the nodes that have some.
        at: shape (Q,), these nodes.
        start: first row of each interval that has rows, and K.
        mended: shape (1,), Cholesky pivots that had to be mended so far.
    """

    kept: Ints
    across: Across
    box: Box
    system: Floats
    weight: Floats
    at: Ints
    start: Ints
    mended: Ints

    def factorise(
        self, nodes: Nodes, alone: Alone, levels: tuple[Ints, ...], done: Flags, team: Team
    ) -> None:
        """Columns up the tree, then the system and its factor."""
        for level in levels:
            team.share(level.size, kernels.open_columns, self.across, nodes, alone, level, done)
        system, interval = self.system, self.across.interval
        team.share(
            len(self.start) - 1,
            dense.pair_weights,
            system,
            self.weight,
            nodes.passed,
            self.at,
            interval,
            self.start,
        )
        team.share(len(system), kernels.add_columns, self.across, alone, nodes, system)
        spread = self.box.inverse.sum(axis=1) + _LOST * self.across.lost
        system[np.diag_indices_from(system)] += spread
        self.mended[0] += dense.cholesky(system, team)

    def direct(self, nodes: Nodes, alone: Alone, done: Flags, team: Team) -> None:
        """Steps of the rows' prices, and what they do at nodes and single units."""
        across, rows = self.across, len(self.system)
        kernels.lower_wanted(across, nodes, done, 0, len(nodes.parent))
        team.share(rows, kernels.climb_rows, across, self.box, nodes, alone, done)
        across.price_step[:] = across.wanted
        dense.solve(self.system, across.price_step)
        kernels.descend_rows(across, self.box, nodes, alone, done)
