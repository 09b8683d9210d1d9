"""Presolve of the groups: which rows can bind at all, and what hangs under what.

A group's row stays only where its cost can change its slope within what the powers below allow.
Elsewhere its price is a constant; a group with neither is dropped, and its units hang under the
next one above.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from optimizer.breaches import net_power_kw
from optimizer.engine.slopes import has_two_prices, row_edges
from optimizer.problem import NO_GROUP

if TYPE_CHECKING:
    import numpy.typing as npt

    from optimizer.problem import DispatchProblem

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]
    Flags = npt.NDArray[np.bool_]

LEAST = 1e-9
"""Boxes narrower than this (kW, kWh) are fixed."""


@dataclass(frozen=True, eq=False)
class Tree:
    """Groups that are left, children before their parents; m of them.

    Attributes:
        group: shape (m,), index in the problem, `NO_GROUP` for the whole.
        parent: shape (m,), −1 at the top.
        height: shape (m,), 0 for a leaf.
        root: shape (m,), the node at the top.
        edges: shape (m, K + 1, T), of the pieces of the net.
        slope: shape (m, K, T), currency per kW and interval.
        is_row: shape (m, T), whether there is more than one piece.
        price: shape (m, T), the constant price where there is no row.
        fixed: shape (m, T), net without batteries and curtailable generators.
        unit_node: shape (N + M,), the node of each battery and generator, −1 for none.
    """

    group: Ints
    parent: Ints
    height: Ints
    root: Ints
    edges: Floats
    slope: Floats
    is_row: Flags
    price: Floats
    fixed: Floats
    unit_node: Ints

    @property
    def coupled(self) -> Flags:
        """Nodes that have a row or lie below one, shape (m,)."""
        found = np.asarray(self.is_row.any(axis=1))
        for node in range(len(self.group) - 1, -1, -1):
            if self.parent[node] >= 0:
                found[node] |= found[self.parent[node]]
        return found


def make_tree(problem: DispatchProblem) -> Tree:
    """The groups whose rows can matter."""
    wanted = _candidates(problem)
    b, table = problem.batteries, problem.generators
    rest = np.zeros(problem.shape)
    fixed = net_power_kw(problem, rest, np.zeros_like(table.p_kw_min))[wanted]
    low = net_power_kw(problem, -b.p_discharge_kw_max, table.p_kw_available)[wanted]
    high = net_power_kw(problem, b.p_charge_kw_max, table.p_kw_min)[wanted]
    # The outermost edges stand clear of what can be reached: they must never carry a price.
    clear = 0.05 * (high - low) + 1.0
    edges, slope = row_edges(problem, wanted, low - clear, high + clear)
    reached = np.minimum(edges[:, 1:], high[:, None]) - np.maximum(edges[:, :-1], low[:, None])
    wide = reached > LEAST
    is_row = wide.sum(axis=1) > 1
    only = np.take_along_axis(slope, reached.argmax(axis=1)[:, None], axis=1)[:, 0]
    keep = (is_row | (only != 0)).any(axis=1)
    group = wanted[keep]
    parent = _parents(problem, group)
    return Tree(
        group=group,
        parent=parent,
        height=_heights(parent),
        root=_roots(parent),
        edges=edges[keep],
        slope=slope[keep],
        is_row=is_row[keep],
        price=np.where(is_row, 0.0, only)[keep],
        fixed=fixed[keep],
        unit_node=_unit_nodes(problem, group),
    )


def _candidates(problem: DispatchProblem) -> Ints:
    """Groups with a limit or with two prices, the deepest first, the whole last."""
    groups = problem.groups
    named = set(problem.limits.group.tolist()) | set(np.flatnonzero(has_two_prices(problem)))
    depth = {group: len(groups.ancestors[group]) if group != NO_GROUP else 0 for group in named}
    return np.array(sorted(named, key=lambda group: (-depth[group], group)), dtype=np.int64)


def _nearest(problem: DispatchProblem, group: Ints) -> Ints:
    """For each group of the problem, and the whole as the last, the node that holds it, or −1."""
    place = {int(name): node for node, name in enumerate(group)}
    whole = place.get(NO_GROUP, -1)
    found = [
        next((place[above] for above in chain if above in place), whole)
        for chain in problem.groups.ancestors
    ]
    return np.array([*found, whole], dtype=np.int64)


def _unit_nodes(problem: DispatchProblem, group: Ints) -> Ints:
    units = np.concatenate([problem.batteries.group, problem.generators.group])
    return np.asarray(_nearest(problem, group)[units])


def _parents(problem: DispatchProblem, group: Ints) -> Ints:
    nearest = _nearest(problem, group)
    above = [NO_GROUP if name == NO_GROUP else problem.groups.parent[name] for name in group]
    found = nearest[np.array(above, dtype=np.int64)]
    return np.where(group == NO_GROUP, -1, found)


def _heights(parent: Ints) -> Ints:
    height = np.zeros(len(parent), dtype=np.int64)
    for node, above in enumerate(parent):
        if above >= 0:
            height[above] = max(height[above], height[node] + 1)
    return height


def _roots(parent: Ints) -> Ints:
    root = np.arange(len(parent))
    for node in range(len(parent) - 1, -1, -1):
        if parent[node] >= 0:
            root[node] = root[parent[node]]
    return root
