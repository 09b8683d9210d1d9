"""The network rows of a piece of work, laid out for its kernels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from optimizer.engine.across import Across
from optimizer.engine.batteries import Alone
from optimizer.engine.boxes import LEAST, make_box, start_box
from optimizer.engine.top import Top

if TYPE_CHECKING:
    import numpy.typing as npt

    from optimizer.engine.nodes import Nodes
    from optimizer.engine.presolve.fleet import Fleet

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class _Own:
    """The rows of a piece of work, and their entries in its own numbers.

    Attributes:
        kept: places in the fleet's `Binding`.
        whole_row, whole_node, whole_weight: entries at nodes, by node and row.
        single_row, single_cell, single_weight: entries of units, by unit and row.
    """

    kept: Ints
    whole_row: Ints
    whole_node: Ints
    whole_weight: Floats
    single_row: Ints
    single_cell: Ints
    single_weight: Floats


def make_top(
    fleet: Fleet, rows: Ints, node: Ints, nodes: Nodes, nodes_at: Ints
) -> tuple[Alone, Top | None]:
    """Network rows over the given batteries and nodes.

    Args:
        fleet: the whole problem.
        rows: shape (n,), the fleet's rows of the batteries, by node.
        node: shape (n,), the node of each battery, m for none.
        nodes: the groups of the work.
        nodes_at: shape (m,), place of each node in the tree.
    """
    own = _own(fleet, rows, nodes_at)
    binding, intervals = fleet.tree.binding, nodes.fixed.shape[1]
    interval = binding.interval[own.kept]
    alone, slot = _make_alone(own, interval, node, nodes, (len(rows), intervals))
    if not len(own.kept):
        return alone, None
    across = _make_across(fleet, own, node, nodes, alone, slot)
    edges, slope = binding.edges[own.kept], binding.slope[own.kept]
    width = np.diff(edges, axis=1)
    low = np.zeros_like(width)
    low[:, 0] = edges[:, 0]
    box = make_box(low, low + width, slope, LEAST)
    start_box(box, slope, fleet.price * fleet.problem.grid.step_h[interval][:, None])
    at, place = np.unique(own.whole_node, return_inverse=True)
    weight = np.zeros((len(at), len(own.kept)))
    weight[place, own.whole_row] = own.whole_weight
    top = Top(
        kept=own.kept,
        across=across,
        box=box,
        system=np.zeros((len(own.kept), len(own.kept))),
        weight=weight,
        at=at,
        start=np.flatnonzero(np.diff(interval, prepend=-1, append=-1)),
        mended=np.zeros(1, dtype=np.int64),
    )
    return alone, top


def _own(fleet: Fleet, rows: Ints, nodes_at: Ints) -> _Own:
    tree = fleet.tree
    hanging = tree.hanging
    kept = np.flatnonzero(np.isin(tree.row_root, tree.root[nodes_at]))
    if not kept.size:
        none, nothing = np.zeros(0, dtype=np.int64), np.zeros(0)
        return _Own(kept, none, none, nothing, none, none, nothing)
    row = np.full(len(tree.row_root), -1)
    row[kept] = np.arange(len(kept))
    node, cell = np.full(len(tree.group), -1), np.full(len(tree.unit_node), -1)
    node[nodes_at], cell[rows] = np.arange(len(nodes_at)), np.arange(len(rows))
    whole = np.flatnonzero(row[hanging.node_row] >= 0)
    whole = whole[np.lexsort((row[hanging.node_row[whole]], node[hanging.node[whole]]))]
    single = np.flatnonzero(row[hanging.unit_row] >= 0)
    single = single[np.lexsort((row[hanging.unit_row[single]], cell[hanging.unit[single]]))]
    return _Own(
        kept=kept,
        whole_row=row[hanging.node_row[whole]],
        whole_node=node[hanging.node[whole]],
        whole_weight=hanging.node_weight[whole],
        single_row=row[hanging.unit_row[single]],
        single_cell=cell[hanging.unit[single]],
        single_weight=hanging.unit_weight[single],
    )


def _make_alone(
    own: _Own, interval: Ints, node: Ints, nodes: Nodes, shape: tuple[int, int]
) -> tuple[Alone, Ints]:
    """Units with entries, and the slot of each entry."""
    units = np.unique(own.single_cell)
    place = np.full(shape[0], -1)
    place[units] = np.arange(len(units))
    key = place[own.single_cell] * shape[1] + interval[own.single_row]
    slots, slot = np.unique(key, return_inverse=True)
    alone = Alone(
        place=place,
        row=units,
        part=nodes.part[node[units]] if len(units) else units,
        slot_start=np.searchsorted(slots, np.arange(len(units) + 1) * shape[1]),
        slot_at=slots % shape[1],
        column=np.zeros((len(slots), shape[1])),
        net=np.zeros((len(units), shape[1])),
        flow=np.zeros((len(units), shape[1])),
        price=np.zeros((len(units), shape[1])),
        price_step=np.zeros((len(units), shape[1])),
    )
    return alone, slot


def _make_across(
    fleet: Fleet, own: _Own, node: Ints, nodes: Nodes, alone: Alone, slot: Ints
) -> Across:
    rows, count, intervals = len(own.kept), *nodes.fixed.shape
    binding, parent = fleet.tree.binding, nodes.parent
    single_node = node[own.single_cell]
    key = _columns(own, single_node, parent, rows)
    column_node, column_row = key // rows, key % rows

    def above(nodes_of: Ints, rows_of: Ints) -> Ints:
        up = parent[nodes_of]
        return np.where(up >= 0, np.searchsorted(key, up * rows + rows_of), -1)

    def by_row(rows_of: Ints) -> tuple[Ints, Ints]:
        order = np.argsort(rows_of, kind="stable")
        return np.searchsorted(rows_of[order], np.arange(rows + 1)), order

    part = np.zeros(rows, dtype=np.int64)
    part[own.single_row] = nodes.part[single_node]
    part[own.whole_row] = nodes.part[own.whole_node]
    at_nodes = np.arange(count + 1)
    whole_start, by_row_whole = by_row(own.whole_row)
    column_start, by_row_column = by_row(column_row)
    single_start, by_row_single = by_row(own.single_row)
    return Across(
        interval=binding.interval[own.kept],
        fixed=binding.fixed[own.kept],
        part=part,
        price=np.zeros(rows),
        price_step=np.zeros(rows),
        wanted=np.zeros(rows),
        missed=np.zeros(rows),
        lost=np.zeros(rows),
        whole_start=np.searchsorted(own.whole_node, at_nodes),
        whole_row=own.whole_row,
        whole_weight=own.whole_weight,
        whole_above=above(own.whole_node, own.whole_row),
        whole_node=own.whole_node,
        by_row_whole_start=whole_start,
        by_row_whole=by_row_whole,
        column_start=np.searchsorted(column_node, at_nodes),
        column_row=column_row,
        column_node=column_node,
        column_above=above(column_node, column_row),
        by_row_column_start=column_start,
        by_row_column=by_row_column,
        answer=np.zeros(len(key) * intervals),
        half=np.zeros(len(key) * intervals),
        lower=np.zeros((count, intervals)),
        single_start=np.searchsorted(single_node, at_nodes),
        single_unit=alone.place[own.single_cell],
        single_slot=slot,
        single_row=own.single_row,
        single_column=np.searchsorted(key, single_node * rows + own.single_row),
        single_weight=own.single_weight,
        unit_start=np.searchsorted(own.single_cell, np.append(alone.row, len(node))),
        by_row_single_start=single_start,
        by_row_single=by_row_single,
    )


def _columns(own: _Own, single_node: Ints, parent: Ints, rows: int) -> Ints:
    """node · K + row, sorted, of the rows that stand somewhere below each node."""
    row = np.concatenate([own.single_row, own.whole_row])
    node = np.concatenate([single_node, parent[own.whole_node]])
    found: list[Ints] = [np.zeros(0, dtype=np.int64)]
    while len(row):
        row, node = row[node >= 0], node[node >= 0]
        key = np.unique(node * rows + row)
        found.append(key)
        row, node = key % rows, parent[key // rows]
    return np.unique(np.concatenate(found))
