"""The groups of a piece of work: rows that can bind, and the priced boxes of their nets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from optimizer.engine.boxes import LEAST, Box, make_box, start_box
from optimizer.engine.nodes import Nodes

if TYPE_CHECKING:
    import numpy.typing as npt

    from optimizer.engine.batteries import Blocks
    from optimizer.engine.presolve.fleet import Fleet

    Ints = npt.NDArray[np.int64]


def make_nodes(
    fleet: Fleet, nodes: Ints, place: Ints, part: Ints, blocks: Blocks
) -> tuple[Nodes, Box]:
    tree, intervals = fleet.tree, len(fleet.problem.grid)
    count = len(nodes)
    edges, slope, is_row = tree.edges[nodes], tree.slope[nodes], tree.is_row[nodes]
    width = np.diff(edges, axis=1)
    wide = (width > LEAST) & is_row[:, None, :]
    low = np.zeros_like(width)
    low[:, 0] = edges[:, 0]
    high = low + np.where(wide, width, 0.0)
    # A first piece without width keeps its edge as a fixed part of the sum.
    box = make_box(low, high, slope, LEAST)
    price = tree.price[nodes].copy()
    start_box(box, slope - price[:, None], fleet.price * fleet.problem.grid.step_h)
    above = tree.parent[nodes]
    parent = np.where(above >= 0, place[above], -1)
    total = np.zeros((count + 1, intervals))
    for node in range(count - 1, -1, -1):
        total[node] = price[node] + (total[parent[node]] if parent[node] >= 0 else 0.0)
    child = np.argsort(parent, kind="stable")
    child = child[parent[child] >= 0]
    square = (count, intervals, intervals)
    named = np.zeros(len(tree.group), dtype=bool)
    named[tree.hanging.node] = True
    tied = np.zeros(len(tree.group), dtype=bool)
    tied[tree.ties.group] = True
    made = Nodes(
        is_row=is_row,
        tied=tied[nodes],
        fixed=tree.fixed[nodes],
        parent=parent.astype(np.int64),
        part=part.astype(np.int64),
        child_start=np.searchsorted(parent[child], np.arange(count + 1)).astype(np.int64),
        child=child.astype(np.int64),
        block_start=np.searchsorted(blocks.node, np.arange(count + 1)).astype(np.int64),
        price=price,
        price_step=np.zeros((count, intervals)),
        total=total,
        total_step=np.zeros((count + 1, intervals)),
        inner=np.zeros(square),
        system=np.zeros(square),
        passed=np.zeros(square),
        passes=(parent >= 0) | named[nodes],
        wanted=np.zeros((count, intervals)),
        flow=np.zeros((count, intervals)),
        net=np.zeros((count, intervals)),
        push=np.zeros((count, intervals)),
        shift=np.zeros((count, intervals)),
        missed=np.zeros(count),
        mended=np.zeros(count, dtype=np.int64),
    )
    return made, box
