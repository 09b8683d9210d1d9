"""The rows between intervals of a piece of work, with their boxes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from optimizer.engine.boxes import LEAST, Box, make_box, start_box
from optimizer.engine.ties import Ties

if TYPE_CHECKING:
    import numpy.typing as npt

    from optimizer.engine.presolve.fleet import Fleet

    Ints = npt.NDArray[np.int64]


def make_ties(fleet: Fleet, nodes: Ints) -> tuple[Ties, Box, Box, Ints]:
    """Rows over the nets of `nodes`, boxes of tops and rows, and places of the rows in the tree."""
    rows, intervals = fleet.tree.ties, len(fleet.problem.grid)
    place = np.full(len(fleet.tree.group), -1)
    place[nodes] = np.arange(len(nodes))
    mine = np.flatnonzero(place[rows.group] >= 0)
    tops = np.flatnonzero(place[rows.top_group] >= 0)
    node, count = np.unique(rows.group[mine], return_counts=True)
    top_count = np.bincount(np.searchsorted(node, rows.top_group[tops]), minlength=len(node))
    sizes = (intervals + top_count) * (top_count + 1)
    edges, prices = len(mine), np.zeros(len(mine))
    ties = Ties(
        node=place[node],
        top_start=_starts(top_count),
        edge_start=_starts(count),
        upper=rows.interval[mine],
        lower=rows.lower[mine],
        known=rows.known[mine],
        price=prices,
        price_step=np.zeros(edges),
        miss=np.zeros(edges),
        conduct=np.zeros(edges),
        pulled=np.zeros(edges),
        share_start=_starts(sizes),
        share=np.zeros(int(sizes.sum())),
        degree=np.zeros(len(node) * intervals + len(tops)),
        ground=np.zeros(len(node) * intervals + len(tops)),
        wanted=np.zeros(len(node) * intervals + len(tops)),
        step=np.zeros(len(node) * intervals + len(tops)),
        missed=np.zeros(len(node)),
    )
    base = fleet.price * fleet.problem.grid.step_h
    top_box = make_box(rows.top_low[tops], rows.top_high[tops], rows.top_cost[tops], LEAST)
    start_box(top_box, top_box.cost, float(base.mean()))
    low = np.zeros((edges, rows.slope.shape[1]))
    low[:, 0] = rows.edges[mine, 0]
    edge_box = make_box(low, low + np.diff(rows.edges[mine], axis=1), rows.slope[mine], LEAST)
    start_box(edge_box, edge_box.cost, base[rows.interval[mine]][:, None])
    return ties, top_box, edge_box, mine


def _starts(count: npt.NDArray[np.int64]) -> Ints:
    return np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(count)])
