"""Presolve of the groups: which rows can bind at all, and what hangs under what.

A group's row stays only where its cost can change its slope within what the powers below allow.
Elsewhere its price is a constant; a group with neither is dropped, and its units hang under the
next one above, unless a network row names it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from optimizer.breaches import net_power_kw
from optimizer.engine.binding import Binding, find_binding
from optimizer.engine.boxes import LEAST
from optimizer.engine.hanging import Hanging, hang, tied_roots
from optimizer.engine.kinks import Kinks, by_group, net_kinks, net_pieces
from optimizer.engine.tie_rows import TiePrices, TieRows, find_ties, fixed_prices
from optimizer.problem import NO_GROUP
from optimizer.sums import NetPower

if TYPE_CHECKING:
    import numpy.typing as npt

    from optimizer.problem import DispatchProblem

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]
    Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Tree:
    """Groups that are left, children before their parents; m of them.

    Attributes:
        group: shape (m,), index in the problem, `NO_GROUP` for the whole.
        parent: shape (m,), −1 at the top.
        height: shape (m,), 0 for a leaf.
        root: shape (m,), the node at the top; one of them where network rows tie several.
        edges: shape (m, K + 1, T), of the pieces of the net.
        slope: shape (m, K, T), currency per kW and interval.
        is_row: shape (m, T), whether there is more than one piece.
        price: shape (m, T), the constant price where there is no row.
        fixed: shape (m, T), net without batteries and curtailable generators.
        unit_node: shape (N + M,), the node of each battery and generator, −1 for none.
        kinks: what each net costs.
        ties: rows between the intervals of a net.
        still: prices of such rows over nets that cannot move.
        binding: network rows that can bind.
        hanging: their entries at nodes and units.
        row_root: shape (K,), the root of the nodes that each of these rows touches.
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
    kinks: Kinks
    ties: TieRows
    still: TiePrices
    binding: Binding
    hanging: Hanging
    row_root: Ints

    @cached_property
    def coupled(self) -> Flags:
        """Nodes that have a row, stand in one or lie below one that does, shape (m,)."""
        found = np.asarray(self.is_row.any(axis=1))
        found |= self.hanging.touches(self.unit_node, len(self.group))
        for node in range(len(self.group) - 1, -1, -1):
            if self.parent[node] >= 0:
                found[node] |= found[self.parent[node]]
        return found


def make_tree(problem: DispatchProblem) -> Tree:
    """The groups whose rows can matter."""
    b, table = problem.batteries, problem.generators
    rest = np.broadcast_to(0.0, problem.shape)
    fixed = net_power_kw(problem, rest, np.zeros_like(table.p_kw_min))
    low = net_power_kw(problem, NetPower(rest, b.p_discharge_kw_max), table.p_kw_available)
    high = net_power_kw(problem, b.p_charge_kw_max, table.p_kw_min)
    binding = find_binding(problem, fixed, low, high)
    kinks = net_kinks(problem)
    wanted, needed = _candidates(problem, binding, set(kinks.group.tolist()))
    fixed, low, high = fixed[wanted], low[wanted], high[wanted]
    # The outermost edges stand clear of what can be reached: they must never carry a price.
    clear = 0.05 * (high - low) + 1.0
    edges, slope = net_pieces(by_group(kinks, wanted), low - clear, high + clear)
    reached = np.minimum(edges[:, 1:], high[:, None]) - np.maximum(edges[:, :-1], low[:, None])
    wide = reached > LEAST
    ties = find_ties(problem, wanted, low, high)
    is_row = (wide.sum(axis=1) > 1) | ties.touched(*low.shape)
    only = np.take_along_axis(slope, reached.argmax(axis=1)[:, None], axis=1)[:, 0]
    keep = (is_row | (only != 0)).any(axis=1) | needed
    group = wanted[keep]
    parent, unit_node = _parents(problem, group), _unit_nodes(problem, group)
    hanging = hang(binding, group, parent, unit_node)
    root, row_root = tied_roots(hanging, len(binding), _roots(parent), unit_node)
    return Tree(
        group=group,
        parent=parent,
        height=_heights(parent),
        root=root,
        edges=edges[keep],
        slope=slope[keep],
        is_row=is_row[keep],
        price=np.where(is_row, 0.0, only)[keep],
        fixed=fixed[keep],
        unit_node=unit_node,
        kinks=by_group(kinks, group),
        still=fixed_prices(problem, wanted, low, high),
        ties=ties.of(np.where(keep, np.cumsum(keep) - 1, -1)),
        binding=binding,
        hanging=hanging,
        row_root=row_root,
    )


def _candidates(problem: DispatchProblem, binding: Binding, priced: set[int]) -> tuple[Ints, Flags]:
    """Groups that may have a node, the deepest first and the whole last, and which must have one.

    Their net has a price of its own, or a network row names them; and where a row names a unit
    below none of them, they are at the top of its groups.
    """
    groups = problem.groups
    is_unit = binding.entry_unit >= 0
    named = set(binding.entry_group[~is_unit].tolist())
    found = named | priced
    units = np.concatenate([problem.batteries.group, problem.generators.group])
    for above in set(units[binding.entry_unit[is_unit]].tolist()):
        chain = (NO_GROUP,) if above == NO_GROUP else groups.ancestors[above]
        holder = next((group for group in (*chain, NO_GROUP) if group in found), chain[-1])
        found.add(holder)
        named.add(holder)
    depth = {group: len(groups.ancestors[group]) if group != NO_GROUP else 0 for group in found}
    order = sorted(found, key=lambda group: (-depth[group], group))
    return np.array(order, dtype=np.int64), np.array(
        [group in named for group in order], dtype=bool
    )


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
