"""Independent pieces of work for the interior-point loop, cut into blocks for its threads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from optimizer.engine.batteries import Blocks
from optimizer.engine.boxes import Runs, flat
from optimizer.engine.linked import BALANCE
from optimizer.engine.loop import Work
from optimizer.engine.presolve.across import make_top
from optimizer.engine.presolve.cells import make_cells
from optimizer.engine.presolve.links import make_links
from optimizer.engine.presolve.rows import make_nodes
from optimizer.engine.presolve.ties import make_ties
from optimizer.engine.presolve.units import money_of, units_of

if TYPE_CHECKING:
    import numpy.typing as npt

    from optimizer.engine.batteries import Cells
    from optimizer.engine.boxes import Box
    from optimizer.engine.linked import Links
    from optimizer.engine.nodes import Nodes
    from optimizer.engine.presolve.fleet import Fleet
    from optimizer.engine.ties import Ties
    from optimizer.engine.top import Top

    Ints = npt.NDArray[np.int64]
    Flags = npt.NDArray[np.bool_]

BLOCK_ROWS = 32
"""Batteries of a block; those under no row at all form a part of their own for each block."""
WORK_ROWS = 1024
"""Batteries from which a piece of work is closed: its state stays in the processor's cache."""


@dataclass(frozen=True, eq=False)
class Piece:
    """What can be solved by itself; its arrays are made when they are needed.

    Attributes:
        rows: the fleet's rows (batteries, then generators).
        nodes: places of its groups in the tree.
    """

    rows: Ints
    nodes: Ints

    @property
    def units(self) -> int:
        """How many batteries and generators it has."""
        return len(self.rows)

    def make(self, fleet: Fleet) -> Work:
        """The piece with its state, started."""
        return make_work(fleet, self.rows, self.nodes)


def plan_work(fleet: Fleet) -> list[Piece]:
    """Independent pieces, of which memory holds few at a time."""
    tree = fleet.tree
    node = tree.unit_node
    root = np.where(node >= 0, tree.root[node] if len(tree.root) else -1, len(tree.group))
    order = np.lexsort((np.arange(len(node)), node, root))
    coupled = order[root[order] < len(tree.group)]
    free = order[len(coupled) :]
    roots, counts = np.unique(root[coupled], return_counts=True)
    stop = np.cumsum(counts)
    pieces: list[Piece] = []
    first, done = 0, 0
    while first < len(roots):
        closed = min(int(np.searchsorted(stop, done + WORK_ROWS)) + 1, len(roots))
        nodes = np.flatnonzero(np.isin(tree.root, roots[first:closed]))
        # The units stand in the order of their roots.
        pieces.append(Piece(coupled[done : stop[closed - 1]], nodes))
        first, done = closed, int(stop[closed - 1])
    none = np.zeros(0, dtype=np.int64)
    loose = [free[start : start + WORK_ROWS] for start in range(0, len(free), WORK_ROWS)]
    return [*pieces, *(Piece(rows, none) for rows in loose)]


def make_work(fleet: Fleet, rows: Ints, nodes: Ints) -> Work:
    """Batteries `rows` and the groups `nodes` of the tree, started."""
    tree, intervals = fleet.tree, len(fleet.problem.grid)
    place = np.full(len(tree.group) + 1, len(nodes))
    place[nodes] = np.arange(len(nodes))
    node = place[np.where(tree.unit_node[rows] >= 0, tree.unit_node[rows], len(tree.group))]
    linked = np.append(fleet.linked, np.zeros(len(fleet.problem.generators), dtype=bool))[rows]
    order = np.lexsort((linked, node))
    rows, node, linked = rows[order], node[order], linked[order]
    roots, part = np.unique(tree.root[nodes], return_inverse=True)
    blocks = make_blocks(
        node, linked, np.append(tree.coupled[nodes], False), part, len(roots), intervals
    )
    parts = int(max(blocks.part.max(initial=-1), part.max(initial=-1))) + 1
    units = units_of(fleet, rows)
    groups, net_box = make_nodes(fleet, nodes, place, part, blocks)
    links, further = make_links(fleet, rows, units)
    cells, box, pieces = make_cells(fleet, rows, units, groups.total[node], further)
    _start_links(links, cells)
    alone, top = make_top(fleet, rows, node, groups, nodes)
    ties, top_box, edge_box, tie_rows = make_ties(fleet, nodes)
    boxes = _runs((box, pieces, net_box), cells, blocks, groups, top)
    boxes += _tie_runs(ties, top_box, edge_box, groups)
    bounds = np.zeros(parts)
    for one, runs in boxes:
        for run, here in enumerate(runs.part):
            bounds[here] += 2.0 * one.free[runs.start[run] : runs.stop[run]].sum()
    money = money_of(fleet, units)
    scale = np.zeros(parts)
    for block, here in enumerate(blocks.part):
        scale[here] += money[blocks.start[block] : blocks.stop[block]].sum()
    height = tree.height[nodes]
    levels = tuple(np.flatnonzero(height == level) for level in range(height.max(initial=-1) + 1))
    return Work(
        cells,
        links,
        blocks,
        groups,
        box,
        pieces,
        net_box,
        levels,
        boxes,
        parts,
        bounds,
        scale,
        rows,
        nodes,
        alone,
        top,
        ties,
        top_box,
        edge_box,
        tie_rows,
    )


def _start_links(links: Links, cells: Cells) -> None:
    """Balances start at the values of energy, all other rows at nothing."""
    balance = links.kind == BALANCE
    links.price[balance] = cells.value[links.place >= 0].ravel()


def make_blocks(
    node: Ints, linked: Flags, coupled: Flags, part: Ints, parts: int, intervals: int
) -> Blocks:
    """Runs of at most `BLOCK_ROWS` rows of one node, with further rows of their own or without.

    Rows under no node are parts of their own.
    """
    starts: list[int] = []
    edges = np.flatnonzero(np.diff(2 * node + linked, prepend=-1, append=-2))
    for first, last in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        starts += range(first, last, BLOCK_ROWS)
    start = np.array(starts, dtype=np.int64)
    stop = np.append(start[1:], len(node)).astype(np.int64)
    holder = node[start]
    loose = holder == len(part)
    owner = np.append(part, 0)[holder]
    owner[loose] = parts + np.arange(int(loose.sum()))
    count = len(start)
    return Blocks(
        start=start,
        stop=stop,
        node=holder,
        part=owner,
        coupled=coupled[holder],
        linked=linked[start],
        response=np.zeros((count, intervals, intervals)),
        flow=np.zeros((count, intervals)),
        net=np.zeros((count, intervals)),
        missed=np.zeros(count),
    )


def _runs(
    boxes: tuple[Box, Box, Box], cells: Cells, blocks: Blocks, nodes: Nodes, top: Top | None
) -> tuple[tuple[Box, Runs], ...]:
    """Every box, flat, with the range of each block or node."""
    box, pieces, net_box = boxes
    each, size = box.low[:1].size, net_box.low[:1].size
    at, start = np.arange(len(nodes.part)), cells.piece_start
    pairs = [
        (flat(box), Runs(blocks.start * each, blocks.stop * each, blocks.part)),
        (pieces, Runs(start[blocks.start], start[blocks.stop], blocks.part)),
        (flat(net_box), Runs(at * size, (at + 1) * size, nodes.part)),
    ]
    if top is not None:
        row, size = np.arange(len(top.box.low)), top.box.low[:1].size
        pairs.append((flat(top.box), Runs(row * size, (row + 1) * size, top.across.part)))
    return tuple((one, runs) for one, runs in pairs if one.low.size)


def _tie_runs(
    ties: Ties, top_box: Box, edge_box: Box, nodes: Nodes
) -> tuple[tuple[Box, Runs], ...]:
    """The boxes of rows between intervals, with the range of each node."""
    part, each = nodes.part[ties.node], edge_box.low[:1].size
    pairs = (
        (flat(top_box), Runs(ties.top_start[:-1], ties.top_start[1:], part)),
        (flat(edge_box), Runs(ties.edge_start[:-1] * each, ties.edge_start[1:] * each, part)),
    )
    return tuple((one, runs) for one, runs in pairs if one.low.size)
