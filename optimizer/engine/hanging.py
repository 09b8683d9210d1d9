"""How network rows hang on the tree of groups.

No entry of a row may hold another one: where a row names a group and something inside it, the
group's weight is handed down to the groups and units directly below. So at each node of the tree a
row stands either with one weight for all that hangs below, or only further down.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

if TYPE_CHECKING:
    import numpy.typing as npt

    from optimizer.engine.binding import Binding

    Ints = npt.NDArray[np.int64]
    Floats = npt.NDArray[np.float64]
    Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Hanging:
    """Entries of the rows that can bind, at nodes of the tree and at units.

    Attributes:
        node_row, node, node_weight: entries with one weight for all that hangs below a node.
        unit_row, unit, unit_weight: entries of single units.
    """

    node_row: Ints
    node: Ints
    node_weight: Floats
    unit_row: Ints
    unit: Ints
    unit_weight: Floats

    def touches(self, unit_node: Ints, nodes: int) -> Flags:
        """Nodes with an entry, or with a unit of their own that has one, shape (m,)."""
        found = np.zeros(nodes, dtype=bool)
        found[self.node] = True
        found[unit_node[self.unit]] = True
        return found


def hang(binding: Binding, group: Ints, parent: Ints, unit_node: Ints) -> Hanging:
    """Entries that do not hold one another.

    Args:
        binding: the rows.
        group: shape (m,), the group of each node; every group and unit that is named has a node.
        parent: shape (m,), −1 at the top.
        unit_node: shape (N + M,).
    """
    is_unit = binding.entry_unit >= 0
    place = {int(name): at for at, name in enumerate(group)}
    named = binding.entry_group[~is_unit]
    node = np.array([place[name] for name in named.tolist()], dtype=np.int64)
    at_nodes = _merge(binding.entry_row[~is_unit], node, binding.weight[~is_unit])
    at_units = _merge(binding.entry_row[is_unit], binding.entry_unit[is_unit],
                      binding.weight[is_unit])  # fmt: skip
    while True:
        held = _holds(at_nodes, at_units, parent, unit_node)
        if not held.any():
            return Hanging(*at_nodes, *at_units)
        at_nodes, at_units = _hand_down(at_nodes, at_units, held, parent, unit_node)


_Entries = tuple["Ints", "Ints", "Floats"]


def _merge(row: Ints, what: Ints, weight: Floats) -> _Entries:
    """Weights of the same row and thing added up, sorted by row."""
    size = int(what.max(initial=0)) + 1
    key, back = np.unique(row * size + what, return_inverse=True)
    return key // size, key % size, np.bincount(back, weight, len(key)).astype(float)


def _holds(at_nodes: _Entries, at_units: _Entries, parent: Ints, unit_node: Ints) -> Flags:
    """Entries at nodes that have another entry of their row below them."""
    size = len(parent) + 1
    row = np.concatenate([at_units[0], at_nodes[0]])
    above = np.concatenate([unit_node[at_units[1]], parent[at_nodes[1]]])
    held: list[Ints] = []
    while len(row):
        row, above = row[above >= 0], above[above >= 0]
        held.append(row * size + above)
        above = parent[above]
    return np.isin(at_nodes[0] * size + at_nodes[1], np.concatenate([*held, np.zeros(0, int)]))


def _hand_down(
    at_nodes: _Entries, at_units: _Entries, held: Flags, parent: Ints, unit_node: Ints
) -> tuple[_Entries, _Entries]:
    row, node, weight = at_nodes
    rows, nodes, weights = [row[~held]], [node[~held]], [weight[~held]]
    more_rows, units, more_weights = [at_units[0]], [at_units[1]], [at_units[2]]
    for entry in np.flatnonzero(held).tolist():
        below = np.flatnonzero(parent == node[entry])
        own = np.flatnonzero(unit_node == node[entry])
        rows.append(np.full(len(below), row[entry]))
        nodes.append(below)
        weights.append(np.full(len(below), weight[entry]))
        more_rows.append(np.full(len(own), row[entry]))
        units.append(own)
        more_weights.append(np.full(len(own), weight[entry]))
    return (
        _merge(np.concatenate(rows), np.concatenate(nodes), np.concatenate(weights)),
        _merge(np.concatenate(more_rows), np.concatenate(units), np.concatenate(more_weights)),
    )


def tied_roots(hanging: Hanging, rows: int, root: Ints, unit_node: Ints) -> tuple[Ints, Ints]:
    """Roots that rows tie together have the first of them as their common one.

    Returns:
        The common root of each node, shape (m,), and of each row, shape (K,).
    """
    row = np.concatenate([hanging.node_row, hanging.unit_row])
    at = root[np.concatenate([hanging.node, unit_node[hanging.unit]])]
    size = len(root) + rows
    ties = coo_array((np.ones(len(row)), (len(root) + row, at)), shape=(size, size))
    _, part = connected_components(ties, directed=False)
    first = np.full(size, size)
    np.minimum.at(first, part, np.arange(size))
    return first[part[root]], first[part[len(root) :]]
