"""Groups with limits, and how far their nets have moved from the plan's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from optimizer.breaches import net_power_kw
from optimizer.problem import NO_GROUP
from optimizer.rounding.network import row_values, sort_network
from optimizer.rounding.watts import WATTS_PER_KW, Nodes

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from optimizer.plan import Plan
    from optimizer.problem import DispatchProblem
    from optimizer.rounding.network import Network

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

TOLERANCE = 1e-6
"""What is missed by less, relative to ``max(1, |limit|)``, is kept."""


@dataclass(frozen=True, eq=False)
class Tree:
    """Groups with limits and the units below them, and network rows beside.

    Attributes:
        nodes: see `optimizer.rounding.watts`.
        near: shape (G+1,), first node at or above each group; the last row is for no group.
        root: shape (m,), the topmost node above each node.
        tolerance: shape (m, T), W by which a net may miss its limit.
        asked: shape (m, T), W to run ahead for the sake of this interval.
        network: the network rows, sorted.
        row_tolerance: shape (R,), W by which a network row may miss its bound.
    """

    nodes: Nodes
    near: Ints
    root: Ints
    tolerance: Floats
    asked: Floats
    network: Network
    row_tolerance: Floats


def make_tree(plan: Plan, *, is_whole: bool) -> Tree:
    """What the nets of a plan may move by.

    To the limits that it keeps, and no further out where it does not; if not `is_whole`, to the
    limits in any case, from wherever the net is.
    """
    problem, network = plan.problem, sort_network(plan.problem)
    held = np.unique(problem.limits.group)  # NO_GROUP, the whole, comes first
    near, above, root = _nodes_of(problem, held)
    shape, rows = (len(held), len(problem.grid)), problem.network
    net, value = np.zeros(shape), np.zeros(len(rows))
    if len(held) or len(rows):
        p_kw = plan.p_charge_kw - plan.p_discharge_kw
        nets = net_power_kw(problem, p_kw, plan.generation_kw)
        net, value = nets[held], row_values(network, nets, p_kw, plan.generation_kw)
    edge_of = as_far_as_kept if is_whole else _as_stated
    least, most = _room(problem, held, net, edge_of)
    fall, rise = _room_of_steps(problem, held, net)
    row_most = edge_of(rows.p_kw_max[network.order], value, 1.0) - value
    row_least = edge_of(rows.p_kw_min[network.order], value, -1.0) - value
    nodes = Nodes(
        parent=above,
        moved=np.zeros(shape),
        least=least * WATTS_PER_KW,
        most=most * WATTS_PER_KW,
        rise=rise * WATTS_PER_KW,
        fall=fall * WATTS_PER_KW,
        lean=np.zeros(shape),
        row_start=network.start,
        row_moved=np.zeros(len(rows)),
        row_least=row_least * WATTS_PER_KW,
        row_most=row_most * WATTS_PER_KW,
    )
    scale, row_scale = np.maximum(1.0, np.abs(net)), np.maximum(1.0, np.abs(value))
    watts = TOLERANCE * WATTS_PER_KW
    return Tree(nodes, near, root, watts * scale, np.zeros(shape), network, watts * row_scale)


def _nodes_of(problem: DispatchProblem, held: Ints) -> tuple[Ints, Ints, Ints]:
    """First node at or above each group, first node above each node, topmost of each node."""
    count = len(problem.groups)
    place = np.full(count + 1, -1)
    place[held] = np.arange(len(held))
    parent = np.append(problem.groups.parent, NO_GROUP) % (count + 1)
    at = np.arange(count + 1)
    while ((place[at] < 0) & (at != count)).any():
        at = np.where(place[at] < 0, parent[at], at)
    near = place[at]
    above = np.where(held == NO_GROUP, -1, near[parent[held]])
    root = np.arange(len(held))
    while (above[root] >= 0).any():
        root = np.where(above[root] >= 0, above[root], root)
    return near, above, root


def _room(
    problem: DispatchProblem,
    held: Ints,
    net: Floats,
    edge_of: Callable[[Floats, Floats, float], Floats],
) -> tuple[Floats, Floats]:
    """How far each net may fall and rise, in kW."""
    limits = problem.limits
    most, least = np.full(net.shape, np.inf), np.full(net.shape, -np.inf)
    row = np.searchsorted(held, limits.group)
    np.minimum.at(most, row, edge_of(limits.p_kw_max, net[row], 1.0) - net[row])
    np.maximum.at(least, row, edge_of(limits.p_kw_min, net[row], -1.0) - net[row])
    return least, most


def _room_of_steps(problem: DispatchProblem, held: Ints, net: Floats) -> tuple[Floats, Floats]:
    """How much more each net may fall and rise into each interval, in kW."""
    limits, step_h = problem.limits, problem.grid.step_h
    fall, rise = np.full(net.shape, np.inf), np.full(net.shape, np.inf)
    if not limits.has_ramp.any():
        return fall, rise
    hours = (np.append(step_h[:1], step_h[:-1]) + step_h) / 2
    row = np.searchsorted(held, limits.group)
    step = net[row] - np.concatenate([limits.p_kw_initial[:, None], net[row, :-1]], axis=1)
    for room, rate, steps in (
        (rise, limits.ramp_up_kw_per_h, step),
        (fall, limits.ramp_down_kw_per_h, -step),
    ):
        most = as_far_as_kept(rate[:, None] * hours, steps, 1.0) - steps
        # The first step is free where the power before it is not known.
        np.minimum.at(room, row, np.where(np.isnan(steps), np.inf, most))
    return fall, rise


def _as_stated(edge: Floats, _: Floats, __: float) -> Floats:
    return edge


def as_far_as_kept(edge: Floats, net: Floats, side: float) -> Floats:
    """The limit where the plan keeps it, else the plan's net: broken, but no further."""
    scale = np.where(np.isfinite(edge), np.maximum(1.0, np.abs(edge)), 1.0)
    return np.where(side * (net - edge) > TOLERANCE * scale, net, edge)


def with_all_above(tree: Tree, node: Ints) -> Ints:
    """The nodes that units hang under, and all above these."""
    found, at = [np.zeros(0, dtype=np.int64)], np.unique(node[node >= 0])
    while len(at):
        found.append(at)
        above = tree.nodes.parent[at]
        at = np.unique(above[above >= 0])
    return np.unique(np.concatenate(found))


def _broken_sides(tree: Tree, at: Ints) -> Floats:
    """1 where a net or its step is moved above what it may, −1 where below; shape (nodes, T)."""
    nodes, tolerance = tree.nodes, tree.tolerance[at]
    moved = nodes.moved[at]
    step = np.diff(moved, axis=1, prepend=0.0)
    above = (moved - nodes.most[at] > tolerance) | (step - nodes.rise[at] > tolerance)
    below = (nodes.least[at] - moved > tolerance) | (-step - nodes.fall[at] > tolerance)
    return above.astype(float) - below


def is_under_broken(tree: Tree, nodes: Ints, node: Ints) -> npt.NDArray[np.bool_]:
    """Units with a net above them that is moved further than it may be."""
    parent = np.append(tree.nodes.parent, -1)  # −1, for no node, is a place of its own
    is_broken = np.zeros(len(parent), dtype=bool)
    is_broken[nodes] = _broken_sides(tree, nodes).any(axis=1)
    found, above = np.zeros(len(node), dtype=bool), node
    while (above >= 0).any():
        found |= is_broken[above]
        above = parent[above]
    return found


def lean_before_broken(tree: Tree, nodes: Ints, watts: float) -> None:
    """Let batteries run ahead, up to each interval where a net was not kept and more than before.

    Where a net is too high, they store more beforehand and need less in that interval.
    """
    tree.asked[nodes] += watts * _broken_sides(tree, nodes)
    ahead = np.zeros(len(nodes))
    for t in range(tree.asked.shape[1] - 1, -1, -1):
        tree.nodes.lean[nodes, t] = ahead
        here = tree.asked[nodes, t]
        ahead = np.where(here != 0.0, here, ahead)


def broken_rows(tree: Tree) -> npt.NDArray[np.bool_]:
    """Network rows that are moved further than they may be, by place."""
    nodes = tree.nodes
    over = np.maximum(nodes.row_moved - nodes.row_most, nodes.row_least - nodes.row_moved)
    return np.asarray(over > tree.row_tolerance)
