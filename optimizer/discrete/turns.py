"""Discrete batteries take turns, each with its best answer to what the others do.

What a group's net costs is a convex piecewise linear function h, too stiff for small steps: a firm
limit has slope 0 on one side and the firm price on the other. So a battery sees

    φ(P) = least over z of h(z) + λ (P − z) + ρ/2 (P − z)²

with the group's price λ and a stiffness ρ that grows from pass to pass (an augmented Lagrangian;
for ρ without end φ is h). λ moves by ρ (P − z) after each pass.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from twins.jit import compiled

if TYPE_CHECKING:
    import numpy.typing as npt

    from optimizer.certificate.relaxed import CostToGo, Units

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

_APART, _SAME_ENERGY = 2e-3, 1e-12
_BETTER = 1e-10


class NetCosts(NamedTuple):
    """What nets of groups cost; m nodes, children before their parents, K pieces.

    Attributes:
        parent: shape (m,), −1 at the top.
        edges: shape (m, K + 1, T), of the pieces, kW.
        height: shape (m, K + 1, T), cost at the edges.
        price: shape (m, T), λ.
        stiffness: shape (m,), ρ; infinite for h itself.
        net: shape (m, T), of all units and fixed load.
    """

    parent: Ints
    edges: Floats
    height: Floats
    price: Floats
    stiffness: Floats
    net: Floats


@compiled
def take_turns(
    units: Units,
    order: Ints,
    node: Ints,
    nets: NetCosts,
    ahead: CostToGo,
    width: int,
    p_kw: Floats,
    paid: Floats,
) -> int:
    """One pass; schedules, nets and costs are updated in place.

    Args:
        units: batteries at their own prices, without those of nets.
        order: rows of `units` in the order of their turns.
        node: shape (n,), of each battery, −1 for none.
        nets: costs of nets; the nets hold what all batteries do.
        ahead: what follows costs at least at the nets' prices.
        width: energies that are kept at each instant.
        p_kw: shape (n, T), charging positive.
        paid: shape (n,), what each schedule costs at the battery's own prices.

    Returns:
        How many batteries changed their schedule.
    """
    intervals = units.kept.shape[1]
    most = 2 * max(4, units.levels.max()) + 3
    table, powers = np.empty((intervals, most)), np.empty((intervals, most))
    energy, cost = np.empty((intervals + 1, width)), np.empty((intervals + 1, width))
    rank, plan = np.empty(width), np.empty(intervals)
    taken, parent = np.empty((intervals + 1, width)), np.empty((intervals + 1, width), np.int64)
    changed = 0
    for i in order:
        _put_in(nets, node[i], p_kw[i], -1.0)
        count = _fill_table(units, i, nets, node[i], powers, table)
        before = _judge(units, i, nets, node[i], p_kw[i])[0]
        found = _beam(
            units, i, ahead, i, count, powers, table, energy, cost, taken, parent, rank, plan
        )
        if found < np.inf:
            after, own = _judge(units, i, nets, node[i], plan)
            if after < before - _BETTER * units.money[i]:
                p_kw[i] = plan
                paid[i] = own
                changed += 1
        _put_in(nets, node[i], p_kw[i], 1.0)
    return changed


@compiled
def _put_in(nets: NetCosts, node: int, p_kw: Floats, sign: float) -> None:
    while node >= 0:
        for t in range(len(p_kw)):
            nets.net[node, t] += sign * p_kw[t]
        node = nets.parent[node]


@compiled
def net_cost(nets: NetCosts, node: int, t: int, net: float) -> tuple[float, float]:
    """φ and the z that it is taken at."""
    edges, height = nets.edges[node, :, t], nets.height[node, :, t]
    price, stiff = nets.price[node, t], nets.stiffness[node]
    if stiff == np.inf:
        k = 0
        while k + 2 < len(edges) and edges[k + 1] <= net:
            k += 1
        while k + 2 < len(edges) and edges[k + 1] <= edges[k]:
            k += 1
        if edges[k + 1] <= edges[k]:
            return height[k], net
        slope = (height[k + 1] - height[k]) / (edges[k + 1] - edges[k])
        return height[k] + slope * (net - edges[k]), net
    best, at = np.inf, net
    for k in range(len(edges) - 1):
        width = edges[k + 1] - edges[k]
        if width <= 0.0:
            continue
        slope = (height[k + 1] - height[k]) / width
        z = min(max(net + (price - slope) / stiff, edges[k]), edges[k + 1])
        over = net - z
        value = height[k] + slope * (z - edges[k]) + price * over + 0.5 * stiff * over * over
        if value < best:
            best, at = value, z
    return best, at


@compiled
def _nets_cost(nets: NetCosts, node: int, t: int, power: float) -> float:
    """What all nets above cost with one battery's power."""
    total = 0.0
    while node >= 0:
        total += net_cost(nets, node, t, nets.net[node, t] + power)[0]
        node = nets.parent[node]
    return total


@compiled
def _fill_table(
    units: Units, i: int, nets: NetCosts, node: int, powers: Floats, table: Floats
) -> int:
    """Powers that may be chosen in each interval and what they cost with their nets."""
    levels, count = units.levels[i], 1
    for t in range(units.kept.shape[1]):
        rest = _nets_cost(nets, node, t, 0.0)
        powers[t, 0], table[t, 0] = 0.0, 0.0
        count = 1
        for side in range(2):
            most = units.charge_max[i, t] if side == 0 else units.discharge_max[i, t]
            least = units.charge_min[i] if side == 0 else units.discharge_min[i]
            price = units.charge_cost[i, t] if side == 0 else units.discharge_cost[i, t]
            sign = 1.0 if side == 0 else -1.0
            for turn in range(levels if levels > 0 else 3):
                if levels > 0:
                    power = most if turn + 1 == levels else most / levels * (turn + 1)
                else:
                    power = (least, most, 0.5 * (least + most))[turn]
                powers[t, count], table[t, count] = sign * power, np.inf
                if 0.0 < power <= most:
                    change = _nets_cost(nets, node, t, sign * power) - rest
                    table[t, count] = price * power + change
                count += 1
    return count


@compiled
def _judge(units: Units, i: int, nets: NetCosts, node: int, p_kw: Floats) -> tuple[float, float]:
    """What a schedule costs with the nets above, and by itself."""
    own, shared = _energy_costs(units, i, p_kw), 0.0
    for t in range(len(p_kw)):
        own += units.charge_cost[i, t] * max(p_kw[t], 0.0)
        own += units.discharge_cost[i, t] * max(-p_kw[t], 0.0)
        shared += _nets_cost(nets, node, t, p_kw[t])
    return own + shared, own


@compiled
def _energy_costs(units: Units, i: int, p_kw: Floats) -> float:
    energy, total = units.start[i], 0.0
    for t in range(len(p_kw)):
        energy = units.kept[i, t] * energy + units.inflow[i, t]
        energy += units.gain[i, t] * max(p_kw[t], 0.0) - units.drain[i, t] * max(-p_kw[t], 0.0)
        total += _cost_of_energy(units, i, t, energy)
    return total


@compiled
def _cost_of_energy(units: Units, i: int, t: int, at: float) -> float:
    total, cell = float(units.energy_cost[i, t] * at), i * units.kept.shape[1] + t
    for kink in range(units.kink_start[cell], units.kink_start[cell + 1]):
        over = at - units.kink_at[kink]
        total += units.kink_below[kink] * min(0.0, over) + units.kink_above[kink] * max(0.0, over)
    return total


@compiled
def _beam(
    units: Units,
    i: int,
    ahead: CostToGo,
    row: int,
    count: int,
    powers: Floats,
    table: Floats,
    energy: Floats,
    cost: Floats,
    taken: Floats,
    parent: Ints,
    rank: Floats,
    plan: Floats,
) -> float:
    """The cheapest schedule along a few promising energies, infinite where there is none."""
    intervals = units.kept.shape[1]
    edge, near = _SAME_ENERGY * units.size[i], _APART * units.size[i]
    energy[0, 0], cost[0, 0], here = units.start[i], 0.0, 1
    for t in range(intervals):
        n, knots = 0, ahead.knots[row, t + 1]
        x, v = ahead.energy[row, t + 1], ahead.cost[row, t + 1]
        low, high = units.low[i, t] - edge, units.high[i, t] + edge
        for k in range(here):
            rest = units.kept[i, t] * energy[t, k] + units.inflow[i, t]
            for choice in range(count):
                if table[t, choice] == np.inf:
                    continue
                p_kw = powers[t, choice]
                at = rest + units.gain[i, t] * max(p_kw, 0.0) - units.drain[i, t] * max(-p_kw, 0.0)
                if not (low <= at <= high and knots > 0 and x[0] <= at <= x[knots - 1]):
                    continue
                total = cost[t, k] + table[t, choice] + _cost_of_energy(units, i, t, at)
                score = total + _on(x, v, knots, at)
                place = _place(energy[t + 1], rank, n, at, score, near)
                if place < 0:
                    continue
                n = max(n, place + 1)
                energy[t + 1, place], cost[t + 1, place] = at, total
                taken[t + 1, place], parent[t + 1, place], rank[place] = p_kw, k, score
        here = n
    best, least = 0, np.inf
    for k in range(here):
        if cost[intervals, k] < least:
            best, least = k, cost[intervals, k]
    if here > 0:
        for t in range(intervals, 0, -1):
            plan[t - 1] = taken[t, best]
            best = parent[t, best]
    return least


@compiled
def _on(x: Floats, v: Floats, knots: int, at: float) -> float:
    k, stop = 0, knots - 1
    while stop - k > 1:
        middle = (k + stop) // 2
        if x[middle] <= at:
            k = middle
        else:
            stop = middle
    if knots < 2:
        return float(v[0])
    return float(v[k] + (v[k + 1] - v[k]) * ((at - x[k]) / (x[k + 1] - x[k])))


@compiled
def _place(energy: Floats, rank: Floats, n: int, at: float, score: float, near: float) -> int:
    """Where an energy goes: the place of one close to it or of the worst, a new one, or −1."""
    worst = 0
    for k in range(n):
        if abs(energy[k] - at) <= near:
            return k if score < rank[k] else -1
        if rank[k] > rank[worst]:
            worst = k
    if n < len(rank):
        return n
    return worst if score < rank[worst] else -1


@compiled
def move_prices(nets: NetCosts, nodes: Ints, share: float) -> float:
    """λ by a share of ρ (P − z), in place; returns the sum of |P − z|."""
    missed = 0.0
    for node in nodes:
        for t in range(nets.net.shape[1]):
            over = nets.net[node, t] - net_cost(nets, node, t, nets.net[node, t])[1]
            nets.price[node, t] += share * nets.stiffness[node] * over
            missed += abs(over)
    return missed


@compiled
def costs_of_nets(nets: NetCosts, nodes: Ints) -> float:
    """What the nets of some nodes cost."""
    total = 0.0
    for node in nodes:
        for t in range(nets.net.shape[1]):
            total += net_cost(nets, node, t, nets.net[node, t])[0]
    return total


@compiled
def own_costs(units: Units, p_kw: Floats, paid: Floats) -> None:
    """What schedules cost at the batteries' own prices, into `paid`, shape (n,)."""
    for i in range(len(paid)):
        paid[i] = _energy_costs(units, i, p_kw[i])
        for t in range(p_kw.shape[1]):
            paid[i] += units.charge_cost[i, t] * max(p_kw[i, t], 0.0)
            paid[i] += units.discharge_cost[i, t] * max(-p_kw[i, t], 0.0)
