"""Local search where discrete batteries are many behind a row: they take turns (`turns`).

Everything else stays where it is; components of the tree of groups are independent of each other
and run on threads. Of every component the best schedules by their true cost are kept.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from optimizer.breaches import net_power_kw
from optimizer.certificate.bound import priced_units
from optimizer.certificate.prices import net_prices, node_prices, project
from optimizer.certificate.relaxed import Units
from optimizer.discrete.turns import NetCosts, costs_of_nets, move_prices, own_costs, take_turns
from optimizer.engine.prices import share_group_prices
from optimizer.engine.slopes import has_two_prices
from optimizer.engine.tree import make_tree

if TYPE_CHECKING:
    import numpy.typing as npt

    from optimizer.discrete.rounds import Search
    from optimizer.engine.tree import Tree
    from optimizer.plan import Multipliers

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

PASSES, EXACT_PASSES = 30, 4
BUCKETS = 256
"""Of a battery's energy: coarser ones cost a fleet of steps per cents of its profit."""
_SOFTEST, _STIFFEST = 0.005, 1.0
"""Of the stiffness at which one battery's power moves the price by a mean price."""
_STEP = 0.3
_SEED = 21


@dataclass(eq=False)
class Crowd:
    """Discrete batteries of one component, at their own prices.

    Attributes:
        tree: nodes of the whole problem.
        nets: costs of all nets; those of this component's nodes are changed.
        nodes: this component's.
        members: rows of the search's discrete batteries.
        units: these batteries, without the prices of nets.
        node: shape (n,), of each battery.
        p_kw: shape (n, T), schedules, changed in place.
        paid: shape (n,), what they cost at the batteries' own prices.
    """

    tree: Tree
    nets: NetCosts
    nodes: Ints
    members: Ints
    units: Units
    node: Ints
    p_kw: Floats
    paid: Floats

    def true_cost(self) -> float:
        """What the schedules cost with the nets above, whatever the stiffness is."""
        self.nets.stiffness[self.nodes] = np.inf
        return float(costs_of_nets(self.nets, self.nodes) + self.paid.sum())

    def put(self, p_kw: Floats) -> None:
        """Take up other schedules."""
        change = p_kw - self.p_kw
        above = self.node
        while (above >= 0).any():
            inside = above >= 0
            np.add.at(self.nets.net, above[inside], change[inside])
            above = np.where(inside, self.nets.parent[above], -1)
        self.p_kw[:] = p_kw
        own_costs(self.units, self.p_kw, self.paid)

    def turn(self, order: Ints) -> int:
        """One pass of all members; returns how many changed."""
        units = self.units
        worth = np.median(units.charge_cost / units.gain, axis=1)
        return take_turns(units, order, self.node, self.nets, worth, BUCKETS, self.p_kw, self.paid)


def improve(
    search: Search, multipliers: Multipliers, start_kw: Floats
) -> tuple[Floats, Multipliers]:
    """Better schedules for the batteries in `search.rest.rows`, and prices that go with them.

    Args:
        search: the others' powers are taken from its best plan.
        multipliers: prices to start from.
        start_kw: schedules to start from, shape (n, T).
    """
    crowds, nets, tree = _crowds(search, multipliers, start_kw)
    p_kw, price = start_kw.copy(), nets.price.copy()

    def run(crowd: Crowd) -> None:
        best, mean = _search(crowd, search)
        p_kw[crowd.members], price[crowd.nodes] = best, mean

    with ThreadPoolExecutor(search.threads or os.cpu_count() or 1) as pool:
        list(pool.map(run, crowds))
    found = replace(multipliers, **{name: v.copy() for name, v in vars(multipliers).items()})
    share_group_prices(search.problem, tree, price, nets.net, found)
    return p_kw, found


def _search(crowd: Crowd, search: Search) -> tuple[Floats, Floats]:
    """All passes of one component: its best schedules, and the mean price of the later passes."""
    nets, nodes, members = crowd.nets, crowd.nodes, crowd.members
    rng = np.random.default_rng(_SEED + int(nodes[0]))
    most = np.maximum(crowd.units.charge_max, crowd.units.discharge_max).max(axis=1)
    unit = np.abs(crowd.units.charge_cost).mean() / max(float(most.mean()), 1e-9)
    best, kept = crowd.true_cost(), crowd.p_kw.copy()
    seen, total = 0, np.zeros((len(nodes), nets.price.shape[1]))
    for turn in range(PASSES):
        nets.stiffness[nodes] = unit * _SOFTEST * (_STIFFEST / _SOFTEST) ** (turn / PASSES)
        crowd.turn(rng.permutation(len(members)))
        move_prices(nets, nodes, _STEP)
        if turn >= PASSES // 3:
            seen, total = seen + 1, total + nets.price[nodes]
        cost = crowd.true_cost()
        if cost < best:
            best, kept = cost, crowd.p_kw.copy()
        if search.is_late:
            break
    mean = total / seen if seen else nets.price[nodes]
    crowd.put(kept)
    nets.price[nodes] = mean
    for _ in range(EXACT_PASSES):
        crowd.true_cost()
        if search.is_late or not crowd.turn(rng.permutation(len(members))):
            break
    return crowd.p_kw, mean


def crowd_of_all(
    search: Search, multipliers: Multipliers, p_kw: Floats
) -> tuple[Units, NetCosts, Tree, Ints]:
    """The search's batteries at their own prices, what nets cost, the tree and each one's node."""
    problem, rows = search.problem, search.rest.rows
    tree = make_tree(problem)
    prices = project(problem, multipliers)
    price = net_prices(problem, prices)[tree.group]
    two = np.append(has_two_prices(problem), False)[tree.group]
    meters = np.append(prices.site_price_per_kwh, np.zeros((1, len(problem.grid))), axis=0)
    price = price + np.where(two[:, None], meters[tree.group] * problem.grid.step_h, 0.0)
    node = tree.unit_node[rows].astype(np.int64)
    units, _ = priced_units(problem, prices, node_prices(problem, prices), rows)
    units = at_prices(units, -totals(tree, price)[node])
    width = np.diff(tree.edges, axis=1)
    height = np.zeros_like(tree.edges)
    height[:, 1:] = np.cumsum(tree.slope * width, axis=1)
    others = (side[search.rest.others] for side in search.powers[:2])
    charge, discharge = search.rest.powers(p_kw, *others)
    net = net_power_kw(problem, charge - discharge, search.powers[2])[tree.group]
    edges = np.ascontiguousarray(tree.edges)
    stiffness = np.full(len(tree.group), np.inf)
    nets = NetCosts(tree.parent.astype(np.int64), edges, height, price, stiffness, net)
    return units, nets, tree, node


def _crowds(
    search: Search, multipliers: Multipliers, p_kw: Floats
) -> tuple[list[Crowd], NetCosts, Tree]:
    units, nets, tree, node = crowd_of_all(search, multipliers, p_kw)
    root = np.full(len(node), -1)
    root[node >= 0] = tree.root[node[node >= 0]]
    crowds = []
    for one in np.unique(root[root >= 0]).tolist():
        members = np.flatnonzero(root == one)
        mine = subset(units, members)
        paid = np.zeros(len(members))
        own_costs(mine, p_kw[members], paid)
        nodes = np.flatnonzero(tree.root == one)
        crowds.append(Crowd(tree, nets, nodes, members, mine, node[members], p_kw[members], paid))
    return crowds, nets, tree


def totals(tree: Tree, price: Floats) -> Floats:
    """Prices of all nets that a kW counts in, shape (m + 1, T); the last row for no node."""
    total = np.zeros((len(tree.group) + 1, price.shape[1]))
    for node in range(len(tree.group) - 1, -1, -1):
        above = tree.parent[node]
        total[node] = price[node] + (total[above] if above >= 0 else 0.0)
    return total


def at_prices(units: Units, per_kw: Floats) -> Units:
    """Batteries that pay so much more for a kW that they draw, and earn it for one fed in."""
    return units._replace(
        charge_cost=units.charge_cost + per_kw, discharge_cost=units.discharge_cost - per_kw
    )


def subset(units: Units, members: Ints) -> Units:
    """Some rows of a table of batteries."""
    intervals = units.kept.shape[1]
    cells = (members[:, None] * intervals + np.arange(intervals)).ravel()
    first, counts = units.kink_start[cells], np.diff(units.kink_start)[cells]
    start = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    kinks = np.repeat(first - start[:-1], counts) + np.arange(start[-1])
    columns = {
        name: value[members]
        for name, value in units._asdict().items()
        if not name.startswith("kink_")
    }
    at, below, above = units.kink_at[kinks], units.kink_below[kinks], units.kink_above[kinks]
    return Units(**columns, kink_start=start, kink_at=at, kink_below=below, kink_above=above)
