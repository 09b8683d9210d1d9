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

    from optimizer.certificate.relaxed import Units

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

_SAME_ENERGY = 1e-12
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
    worth: Floats,
    buckets: int,
    p_kw: Floats,
    paid: Floats,
) -> int:
    """One pass; schedules, nets and costs are updated in place.

    Args:
        units: batteries at their own prices, without those of nets.
        order: rows of `units` in the order of their turns.
        node: shape (n,), of each battery, −1 for none.
        nets: costs of nets; the nets hold what all batteries do.
        worth: shape (n,), of a stored kWh: what ranks energies that lie close together.
        buckets: of energy, of each of which the best way is kept.
        p_kw: shape (n, T), charging positive.
        paid: shape (n,), what each schedule costs at the battery's own prices.

    Returns:
        How many batteries changed their schedule.
    """
    room = _make_room(units, order, nets, buckets)
    changed = 0
    for i in order:
        _put_in(nets, node[i], p_kw[i], -1.0)
        before, _ = _judge(units, i, nets, node[i], p_kw[i])
        if _best_way(units, i, nets, node[i], worth[i], room) < np.inf:
            after, own = _judge(units, i, nets, node[i], room.plan)
            if after < before - _BETTER * units.money[i]:
                p_kw[i] = room.plan
                paid[i] = own
                changed += 1
        _put_in(nets, node[i], p_kw[i], 1.0)
    return changed


class Room(NamedTuple):
    """Tables of the search for one battery's best way; filled anew for each.

    Attributes:
        powers, cost_of: shape (T, most choices), what may be chosen and what it costs with nets.
        choices: shape (T,), how many.
        energy, cost, rank: shape (T + 1, buckets); a cost is infinite where nothing leads to.
        taken, parent: shape (T + 1, buckets), power and bucket that led to it.
        plan: shape (T,), the way.
    """

    powers: Floats
    cost_of: Floats
    choices: Ints
    energy: Floats
    cost: Floats
    rank: Floats
    taken: Floats
    parent: Ints
    plan: Floats


@compiled
def _make_room(units: Units, rows: Ints, nets: NetCosts, buckets: int) -> Room:
    intervals, most = units.kept.shape[1], 4
    for i in rows:
        most = max(most, units.levels[i])
    most = 2 * most + 3 + 4 * nets.edges.shape[1]
    shape = (intervals + 1, buckets)
    return Room(
        np.empty((intervals, most)), np.empty((intervals, most)), np.zeros(intervals, np.int64),
        np.empty(shape), np.empty(shape), np.empty(shape), np.empty(shape),
        np.empty(shape, np.int64), np.empty(intervals),
    )  # fmt: skip


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
def _fill_table(units: Units, i: int, nets: NetCosts, node: int, room: Room) -> None:
    """Powers that may be chosen in each interval and what they cost with their nets."""
    for t in range(units.kept.shape[1]):
        rest = _nets_cost(nets, node, t, 0.0)
        room.powers[t, 0], room.cost_of[t, 0], room.choices[t] = 0.0, 0.0, 1
        for side in range(2):
            most = units.charge_max[i, t] if side == 0 else units.discharge_max[i, t]
            if most <= 0.0:
                continue
            sign, levels = 1.0 - 2.0 * side, units.levels[i]
            for step in range(1, levels + 1):
                power = most if step == levels else most / levels * step
                _offer(units, i, nets, node, t, sign * power, rest, room)
            if levels > 0:
                continue
            least = units.charge_min[i] if side == 0 else units.discharge_min[i]
            for share in range(4 if most > least else 1):
                power = most if share == 0 else least + (share - 1) / 3.0 * (most - least)
                if power > 0.0:
                    _offer(units, i, nets, node, t, sign * power, rest, room)
            # To where the cost of a net has a kink.
            above = node
            while above >= 0:
                for k in range(1, nets.edges.shape[1] - 1):
                    power = sign * (nets.edges[above, k, t] - nets.net[above, t])
                    if max(least, 0.0) < power < most and room.choices[t] < room.powers.shape[1]:
                        _offer(units, i, nets, node, t, sign * power, rest, room)
                above = nets.parent[above]


@compiled
def _offer(
    units: Units, i: int, nets: NetCosts, node: int, t: int, p_kw: float, rest: float, room: Room
) -> None:
    n = room.choices[t]
    price = units.charge_cost[i, t] if p_kw > 0.0 else units.discharge_cost[i, t]
    room.powers[t, n] = p_kw
    room.cost_of[t, n] = price * abs(p_kw) + _nets_cost(nets, node, t, p_kw) - rest
    room.choices[t] = n + 1


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
def _best_way(units: Units, i: int, nets: NetCosts, node: int, worth: float, room: Room) -> float:
    """Fill `room.plan` with the cheapest way through buckets of energy; infinite for none."""
    _fill_table(units, i, nets, node, room)
    intervals, buckets = units.kept.shape[1], room.energy.shape[1]
    edge = _SAME_ENERGY * units.size[i]
    floor, top = units.low[i].min(), units.high[i].max()
    per_kwh = (buckets - 1) / max(top - floor, edge)
    room.cost[:] = np.inf
    room.rank[:] = np.inf
    room.energy[0, 0], room.cost[0, 0] = units.start[i], 0.0
    for t in range(intervals):
        low, high = units.low[i, t] - edge, units.high[i, t] + edge
        cell = i * intervals + t
        has_kinks = units.kink_start[cell] < units.kink_start[cell + 1]
        has_kinks |= units.energy_cost[i, t] != 0.0
        for k in range(buckets if t > 0 else 1):
            if room.cost[t, k] == np.inf:
                continue
            rest = units.kept[i, t] * room.energy[t, k] + units.inflow[i, t]
            for choice in range(room.choices[t]):
                p_kw = room.powers[t, choice]
                at = rest + (units.gain[i, t] if p_kw > 0.0 else units.drain[i, t]) * p_kw
                if not low <= at <= high:
                    continue
                total = room.cost[t, k] + room.cost_of[t, choice]
                if has_kinks:
                    total += _cost_of_energy(units, i, t, at)
                place = min(max(int((at - floor) * per_kwh + 0.5), 0), buckets - 1)
                _arrive(room, t, k, place, at, total, total - worth * at, p_kw)
            if units.levels[i] > 0 or not has_kinks:
                continue
            for kink in range(units.kink_start[cell], units.kink_start[cell + 1]):
                # Powers of a range may lead to where the cost of energy has a kink.
                at = units.kink_at[kink]
                p_kw = (at - rest) / (units.gain[i, t] if at > rest else units.drain[i, t])
                if not (low <= at <= high and _may_be(units, i, t, p_kw)):
                    continue
                total = room.cost[t, k] + _power_cost(units, i, nets, node, t, p_kw)
                total += _cost_of_energy(units, i, t, at)
                place = min(max(int((at - floor) * per_kwh + 0.5), 0), buckets - 1)
                _arrive(room, t, k, place, at, total, total - worth * at, p_kw)
    best, least = 0, np.inf
    for k in range(buckets):
        if room.cost[intervals, k] < least:
            best, least = k, room.cost[intervals, k]
    if least < np.inf:
        for t in range(intervals, 0, -1):
            room.plan[t - 1] = room.taken[t, best]
            best = room.parent[t, best]
    return least


@compiled
def _arrive(
    room: Room, t: int, k: int, place: int, at: float, cost: float, rank: float, p_kw: float
) -> None:
    """Keep a way from bucket `k` into `place` if it is the best so far."""
    if rank < room.rank[t + 1, place]:
        room.rank[t + 1, place] = rank
        room.energy[t + 1, place], room.cost[t + 1, place] = at, cost
        room.taken[t + 1, place], room.parent[t + 1, place] = p_kw, k


@compiled
def _may_be(units: Units, i: int, t: int, p_kw: float) -> bool:
    """Whether a power lies in its side's range."""
    if p_kw > 0.0:
        return bool(units.charge_min[i] <= p_kw <= units.charge_max[i, t])
    return bool(p_kw < 0.0 and units.discharge_min[i] <= -p_kw <= units.discharge_max[i, t])


@compiled
def _power_cost(units: Units, i: int, nets: NetCosts, node: int, t: int, p_kw: float) -> float:
    price = units.charge_cost[i, t] if p_kw > 0.0 else units.discharge_cost[i, t]
    change = _nets_cost(nets, node, t, p_kw) - _nets_cost(nets, node, t, 0.0)
    return float(price * abs(p_kw) + change)


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
