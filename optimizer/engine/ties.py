"""Rows between the intervals of one group's net: ramps, and the largest breach of a priced peak.

Each row says x_a − x_b − v = 0: a is an interval's net z, b the net before it, or the *top* B of a
peak (the largest breach, a box with the price of a kW), or a known value; v is a sum of boxes (what
is allowed, what is broken). With c = 1/Σ(1/θv) the Newton system of the nets and tops is

    N dx = rhs        N = diag(1/Σ(1/θz), θB) + Σ_rows c (e_a − e_b)(e_a − e_b)ᵀ

the conductances of a network with a way to earth. Eliminating a vertex joins its neighbours by new
conductances (star and mesh): sums and products of positive numbers, so that nothing cancels. A net
is joined to the next one and to the tops alone, which elimination in order of time keeps. What the
group's row sees in place of 1/θz is the nets' part of N⁻¹.

All compiled functions that call each other stand in this one file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from twins.jit import compiled

if TYPE_CHECKING:
    import numpy.typing as npt

    from optimizer.engine.boxes import Box
    from optimizer.engine.nodes import Nodes

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]
    Flags = npt.NDArray[np.bool_]


REFINEMENTS = 6


class Ties(NamedTuple):
    """Nets with such rows; L nodes, J tops, E rows, T intervals.

    Beside it stand the boxes of the tops, shape (J,), and of the rows' own variables, shape (E, 3).

    Attributes:
        node: shape (L,).
        top_start: shape (L + 1,), first top of each node.
        edge_start: shape (L + 1,), first row of each node.
        upper: shape (E,), the interval of x_a.
        lower: shape (E,), x_b: an interval, T and on for a top of the node, −1 for a known value.
        known: shape (E,), that value, else 0.
        price, price_step: shape (E,), multipliers: η.
        miss: shape (E,), residual.
        conduct: shape (E,), c.
        pulled: shape (E,), miss + Σ h/θv.
        share_start: shape (L + 1,).
        share: factor of N: what a vertex passes to the next net and to each top, flat.
        degree: shape (L T + J,), its pivots.
        ground: shape (L T + J,), 1/Σ(1/θz) and θB: conductances of the boxes themselves.
        wanted: shape (L T + J,), right-hand side of nets and tops without that of the rows.
        step: shape (L T + J,), steps of nets and tops at unchanged prices of groups.
        missed: shape (L,), Σ |miss · η|.
    """

    node: Ints
    top_start: Ints
    edge_start: Ints
    upper: Ints
    lower: Ints
    known: Floats
    price: Floats
    price_step: Floats
    miss: Floats
    conduct: Floats
    pulled: Floats
    share_start: Ints
    share: Floats
    degree: Floats
    ground: Floats
    wanted: Floats
    step: Floats
    missed: Floats


@compiled
def eliminate(ground: Floats, share: Floats, degree: Floats, count: int) -> None:
    """Factor of N from conductances to earth and to neighbours, in place.

    Args:
        ground: shape (T + J,), conductances to earth; is changed.
        share: shape (T + J, J + 1), conductances to the next net and to each top; then shares.
        degree: shape (T + J,), is filled with the pivots.
        count: T.
    """
    size, tops = ground.size, share.shape[1] - 1
    for k in range(size):
        row, total = share[k], ground[k]
        for c in range(tops + 1):
            total += row[c]
        degree[k] = total
        for c in range(tops + 1):
            row[c] /= total
        following = k + 1 if k < count - 1 else -1
        if following >= 0:
            ground[following] += row[0] * ground[k]
            for c in range(1, tops + 1):
                share[following, c] += row[0] * total * row[c]
        for c in range(1, tops + 1):
            ground[count + c - 1] += row[c] * ground[k]
            for other in range(c + 1, tops + 1):
                share[count + c - 1, other] += row[c] * total * row[other]


@compiled
def solve(share: Floats, degree: Floats, count: int, x: Floats) -> None:
    """x ← N⁻¹ x."""
    size, tops = x.size, share.shape[1] - 1
    for k in range(size):
        if k < count - 1:
            x[k + 1] += share[k, 0] * x[k]
        for c in range(1, tops + 1):
            if count + c - 1 > k:
                x[count + c - 1] += share[k, c] * x[k]
    for k in range(size - 1, -1, -1):
        x[k] /= degree[k]
        if k < count - 1:
            x[k] += share[k, 0] * x[k + 1]
        for c in range(1, tops + 1):
            if count + c - 1 > k:
                x[k] += share[k, c] * x[count + c - 1]


@compiled
def invert(share: Floats, degree: Floats, count: int, inverse: Floats) -> None:
    """N⁻¹ from the last vertex to the first, each row from those of its neighbours."""
    size, tops = degree.size, share.shape[1] - 1
    for k in range(size - 1, -1, -1):
        row = inverse[k, k + 1 :]
        row[:] = 0.0
        if k < count - 1:
            row += share[k, 0] * inverse[k + 1, k + 1 :]
        for c in range(1, tops + 1):
            if count + c - 1 > k:
                row += share[k, c] * inverse[count + c - 1, k + 1 :]
        inverse[k + 1 :, k] = row
        own = 1.0 / degree[k]
        if k < count - 1:
            own += share[k, 0] * inverse[k, k + 1]
        for c in range(1, tops + 1):
            if count + c - 1 > k:
                own += share[k, c] * inverse[k, count + c - 1]
        inverse[k, k] = own


@compiled
def _share_of(ties: Ties, at: int, count: int) -> Floats:
    """The factor's shares of a node, shape (T + tops, tops + 1)."""
    tops = ties.top_start[at + 1] - ties.top_start[at]
    flat = ties.share[ties.share_start[at] : ties.share_start[at + 1]]
    return flat.reshape(count + tops, tops + 1)


@compiled
def _vertices(ties: Ties, at: int, count: int, flat: Floats) -> Floats:
    """The nets' and tops' part of a flat array over all nodes."""
    return flat[at * count + ties.top_start[at] : (at + 1) * count + ties.top_start[at + 1]]


@compiled
def factorise(
    ties: Ties,
    nodes: Nodes,
    net_box: Box,
    top_box: Box,
    edge_box: Box,
    done: Flags,
    first: int,
    last: int,
) -> None:
    """Factors of every N, residuals of the rows, and the nets' part of N⁻¹ as `Nodes.system`."""
    count = nodes.fixed.shape[1]
    for at in range(first, last):
        node = ties.node[at]
        if done[nodes.part[node]]:
            continue
        share, degree = _share_of(ties, at, count), _vertices(ties, at, count, ties.degree)
        ground, x = np.ones(degree.size), np.zeros(degree.size)
        own = _vertices(ties, at, count, ties.ground)
        share[:, :] = 0.0
        for t in range(count):
            spread = 0.0
            for k in range(net_box.low.shape[1]):
                spread += net_box.inverse[node, k, t]
                x[t] += (
                    net_box.low[node, k, t] + net_box.free[node, k, t] * net_box.above[node, k, t]
                )
            if spread > 0.0:
                ground[t] = 1.0 / spread
        for top in range(ties.top_start[at], ties.top_start[at + 1]):
            place = count + top - ties.top_start[at]
            ground[place] = 1.0 / top_box.inverse[top]
            x[place] = top_box.low[top] + top_box.free[top] * top_box.above[top]
        own[:] = ground
        for edge in range(ties.edge_start[at], ties.edge_start[at + 1]):
            spread, inside = 0.0, 0.0
            for k in range(edge_box.low.shape[1]):
                spread += edge_box.inverse[edge, k]
                inside += edge_box.low[edge, k] + edge_box.free[edge, k] * edge_box.above[edge, k]
            conduct, upper, lower = 1.0 / spread, ties.upper[edge], ties.lower[edge]
            ties.conduct[edge] = conduct
            ties.miss[edge] = x[upper] - ties.known[edge] - inside
            if lower < 0:
                ground[upper] += conduct
            else:
                ties.miss[edge] -= x[lower]
                if lower >= count:
                    share[upper, 1 + lower - count] += conduct
                else:
                    share[lower, 0] += conduct
        eliminate(ground, share, degree, count)
        inverse = np.empty((degree.size, degree.size))
        invert(share, degree, count, inverse)
        nodes.system[node] = inverse[:count, :count]


@compiled
def respond(
    ties: Ties,
    nodes: Nodes,
    net_box: Box,
    top_box: Box,
    edge_box: Box,
    done: Flags,
    first: int,
    last: int,
) -> None:
    """Steps of nets and tops at unchanged prices of groups, which go to `Nodes.wanted`.

    Pulls become those of the boxes at the prices of groups and rows.
    """
    count = nodes.fixed.shape[1]
    for at in range(first, last):
        node = ties.node[at]
        if done[nodes.part[node]]:
            continue
        step = _vertices(ties, at, count, ties.step)
        step[:] = 0.0
        edges = ties.edge_start[at], ties.edge_start[at + 1]
        _add_prices(ties, at, ties.price[edges[0] : edges[1]], step)
        for t in range(count):
            pull, spread = 0.0, 0.0
            for k in range(net_box.low.shape[1]):
                net_box.pull[node, k, t] += (
                    net_box.cost[node, k, t] - nodes.price[node, t] + step[t]
                )
                pull += net_box.pull[node, k, t] * net_box.inverse[node, k, t]
                spread += net_box.inverse[node, k, t]
            step[t] = -pull / spread if spread > 0.0 else 0.0
        for top in range(ties.top_start[at], ties.top_start[at + 1]):
            place = count + top - ties.top_start[at]
            top_box.pull[top] += top_box.cost[top] + step[place]
            step[place] = -top_box.pull[top]
        _vertices(ties, at, count, ties.wanted)[:] = step
        missed = 0.0
        for edge in range(edges[0], edges[1]):
            pulled = ties.miss[edge]
            for k in range(edge_box.low.shape[1]):
                edge_box.pull[edge, k] += edge_box.cost[edge, k] - ties.price[edge]
                pulled += edge_box.pull[edge, k] * edge_box.inverse[edge, k]
            ties.pulled[edge] = pulled
            step[ties.upper[edge]] -= ties.conduct[edge] * pulled
            if ties.lower[edge] >= 0:
                step[ties.lower[edge]] += ties.conduct[edge] * pulled
            missed += abs(ties.miss[edge] * ties.price[edge])
        ties.missed[at] = missed
        solve(_share_of(ties, at, count), _vertices(ties, at, count, ties.degree), count, step)
        for t in range(count):
            nodes.wanted[node, t] = -step[t]


@compiled
def _add_prices(ties: Ties, at: int, price: Floats, total: Floats) -> None:
    """total += what the prices of a node's rows are at its nets and tops."""
    first = ties.edge_start[at]
    for edge in range(price.size):
        total[ties.upper[first + edge]] += price[edge]
        if ties.lower[first + edge] >= 0:
            total[ties.lower[first + edge]] -= price[edge]


@compiled
def _add_flows(ties: Ties, at: int, moved: Floats, with_pull: float) -> None:
    """Steps of the rows' prices += c (dx_a − dx_b + what pulls at the row)."""
    for edge in range(ties.edge_start[at], ties.edge_start[at + 1]):
        change = moved[ties.upper[edge]] + with_pull * ties.pulled[edge]
        if ties.lower[edge] >= 0:
            change -= moved[ties.lower[edge]]
        ties.price_step[edge] += ties.conduct[edge] * change


@compiled
def _balance(ties: Ties, at: int, price_step: Floats, moved: Floats, left: Floats) -> None:
    """What the steps of the rows' prices leave open at nets and tops: their rounding is c-fold."""
    count, first = price_step.size, ties.edge_start[at]
    ground = _vertices(ties, at, count, ties.ground)
    left[:] = _vertices(ties, at, count, ties.wanted) - ground * moved
    left[:count] += price_step
    for edge in range(first, ties.edge_start[at + 1]):
        left[ties.upper[edge]] -= ties.price_step[edge]
        if ties.lower[edge] >= 0:
            left[ties.lower[edge]] += ties.price_step[edge]


@compiled
def follow(
    ties: Ties,
    nodes: Nodes,
    net_box: Box,
    top_box: Box,
    edge_box: Box,
    done: Flags,
    first: int,
    last: int,
) -> None:
    """Steps of the rows' prices after those of the groups, and the pull that they leave.

    A step is c times a difference of nets, where c may be vast: what it leaves open at the nets is
    solved for again.
    """
    count = nodes.fixed.shape[1]
    for at in range(first, last):
        node = ties.node[at]
        if done[nodes.part[node]]:
            continue
        share, degree = _share_of(ties, at, count), _vertices(ties, at, count, ties.degree)
        moved = np.zeros(degree.size)
        moved[:count] = nodes.price_step[node]
        solve(share, degree, count, moved)
        moved += _vertices(ties, at, count, ties.step)
        edges = ties.edge_start[at], ties.edge_start[at + 1]
        ties.price_step[edges[0] : edges[1]] = 0.0
        _add_flows(ties, at, moved, 1.0)
        left = np.empty(degree.size)
        for _ in range(REFINEMENTS):
            _balance(ties, at, nodes.price_step[node], moved, left)
            solve(share, degree, count, left)
            moved += left
            _add_flows(ties, at, left, 0.0)
        for edge in range(edges[0], edges[1]):
            for k in range(edge_box.low.shape[1]):
                edge_box.pull[edge, k] -= ties.price_step[edge]
        moved[:] = 0.0
        _add_prices(ties, at, ties.price_step[edges[0] : edges[1]], moved)
        for t in range(count):
            for k in range(net_box.low.shape[1]):
                net_box.pull[node, k, t] += moved[t]
        for top in range(ties.top_start[at], ties.top_start[at + 1]):
            top_box.pull[top] += moved[count + top - ties.top_start[at]]


@compiled
def move_prices(ties: Ties, nodes: Nodes, done: Flags, dual: Floats, first: int, last: int) -> None:
    """Take the step of the rows' prices; `dual` is its length by part."""
    for at in range(first, last):
        part = nodes.part[ties.node[at]]
        if done[part]:
            continue
        for edge in range(ties.edge_start[at], ties.edge_start[at + 1]):
            ties.price[edge] += dual[part] * ties.price_step[edge]
