"""The groups' part of an iteration: a dense system a group, eliminated upwards along the tree.

A group's row says that the net of everything below it is z, a sum of boxes (inside the limit,
beyond it, …). With S' the response of what hangs below and m the prices above, the step of its
price μ solves (S' + 1/θz)·dμ = r + H_z + miss − S'·dm, and what its parent sees of it is the
response S' − S'(S' + 1/θz)⁻¹S': an arrow-shaped factorisation.

All compiled functions that call each other stand in this one file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from twins.jit import compiled

if TYPE_CHECKING:
    import numpy.typing as npt

    from optimizer.engine.boxes import Box

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]
    Flags = npt.NDArray[np.bool_]

_PIVOT_LEAST = 1e-13
_PIVOT_MENDED = 1e64


class Nodes(NamedTuple):
    """Groups with rows, children before their parents; m nodes, K parts of a net, T intervals.

    Beside it stands the box of the parts of the nets, shape (m, K, T).

    Attributes:
        is_row: shape (m, T), whether there is a row; else the price is constant.
        tied: shape (m,), whether rows between intervals hold the net (`ties`).
        fixed: shape (m, T), fixed net of the whole subtree.
        parent: shape (m,), −1 at the top.
        part: shape (m,), the independent part they belong to.
        child_start, child: children of each node, as a compressed list.
        block_start: shape (m + 1,), first of its blocks of batteries.
        price: shape (m, T), multiplier of the row: μ.
        price_step: shape (m, T).
        total: shape (m, T), the sum of the prices from here to the top.
        total_step: shape (m, T).
        inner: shape (m, T, T), response of all that hangs below: S'.
        system: shape (m, T, T), upper Cholesky factor of S' + 1/θz.
        passed: shape (m, T, T), the response that the parent and network rows see.
        passes: shape (m,), whether anything sees it.
        wanted: shape (m, T), right-hand side.
        flow: shape (m, T), the flow that the parent and network rows see.
        net: shape (m, T), Σ (c − d) of the subtree.
        push: shape (m, T), steps of the prices of network rows for all that hangs below.
        shift: shape (m, T), what other steps of theirs add to U⁻ᵀ (right-hand side).
        missed: shape (m,), Σ |miss · μ|.
        mended: shape (m,), pivots that had to be mended so far.
    """

    is_row: Flags
    tied: Flags
    fixed: Floats
    parent: Ints
    part: Ints
    child_start: Ints
    child: Ints
    block_start: Ints
    price: Floats
    price_step: Floats
    total: Floats
    total_step: Floats
    inner: Floats
    system: Floats
    passed: Floats
    passes: Flags
    wanted: Floats
    flow: Floats
    net: Floats
    push: Floats
    shift: Floats
    missed: Floats
    mended: Ints


@compiled
def cholesky(system: Floats) -> int:
    """Upper factor in place (UᵀU); pivots without any size left are set aside and counted."""
    count, mended = system.shape[0], 0
    for k in range(count):
        row = system[k]
        if not row[k] > _PIVOT_LEAST * _PIVOT_LEAST:
            row[k] = _PIVOT_MENDED
            mended += 1
        root = np.sqrt(row[k])
        for j in range(k, count):
            row[j] /= root
        row[k] = root
        for i in range(k + 1, count):
            share, below, right = row[i], system[i, i:], row[i:]
            for j in range(below.size):
                below[j] -= share * right[j]
    return mended


@compiled
def solve_lower(upper: Floats, x: Floats) -> None:
    """x ← U⁻ᵀ x."""
    for k in range(x.size):
        x[k] /= upper[k, k]
        for j in range(k + 1, x.size):
            x[j] -= upper[k, j] * x[k]


@compiled
def solve_upper(upper: Floats, x: Floats) -> None:
    """x ← U⁻¹ x."""
    for k in range(x.size - 1, -1, -1):
        for j in range(k + 1, x.size):
            x[k] -= upper[k, j] * x[j]
        x[k] /= upper[k, k]


@compiled
def gather(
    nodes: Nodes,
    box: Box,
    level: Ints,
    response: Floats,
    net: Floats,
    done: Flags,
    first: int,
    last: int,
) -> None:
    """Responses and nets of one level of the tree, its systems' factors and what goes up."""
    count = nodes.fixed.shape[1]
    for index in range(first, last):
        node = level[index]
        if done[nodes.part[node]]:
            continue
        inner, system = nodes.inner[node], nodes.system[node]
        _gather_below(nodes, node, response, net)
        for t in range(count):
            for j in range(t):
                inner[t, j] = inner[j, t]
        for t in range(count):
            for j in range(count):
                on_rows = nodes.is_row[node, t] and nodes.is_row[node, j]
                before = system[t, j] if nodes.tied[node] else 0.0
                system[t, j] = before + inner[t, j] if on_rows else 0.0
            if nodes.is_row[node, t]:
                for k in range(0 if nodes.tied[node] else box.inverse.shape[1]):
                    system[t, t] += box.inverse[node, k, t]
            else:
                system[t, t] = 1.0
        nodes.mended[node] += cholesky(system)
        if nodes.passes[node]:
            _pass_up(inner, system, nodes.is_row[node], nodes.passed[node])


@compiled
def _gather_below(nodes: Nodes, node: int, response: Floats, net: Floats) -> None:
    """Sums over blocks and children, always in the same order."""
    inner, total = nodes.inner[node], nodes.net[node]
    inner[:, :] = 0.0
    total[:] = 0.0
    for block in range(nodes.block_start[node], nodes.block_start[node + 1]):
        inner += response[block]
        total += net[block]
    for at in range(nodes.child_start[node], nodes.child_start[node + 1]):
        inner += nodes.passed[nodes.child[at]]
        total += nodes.net[nodes.child[at]]


@compiled
def _pass_up(inner: Floats, upper: Floats, is_row: Flags, passed: Floats) -> None:
    """S' − S' (S' + 1/θz)⁻¹ S' = S' − VᵀV with UᵀV = S'."""
    count = is_row.size
    half = np.zeros((count, count))
    for t in range(count):
        if is_row[t]:
            half[t] = inner[t]
    for k in range(count):
        half[k] /= upper[k, k]
        for j in range(k + 1, count):
            half[j] -= upper[k, j] * half[k]
    passed[:, :] = inner
    for k in range(count):
        for t in range(count):
            share, row, right = half[k, t], passed[t, t:], half[k, t:]
            for j in range(row.size):
                row[j] -= share * right[j]
    for t in range(count):
        for j in range(t):
            passed[t, j] = passed[j, t]


@compiled
def climb(nodes: Nodes, box: Box, level: Ints, flow: Floats, done: Flags) -> None:
    """Right-hand sides of one level, and the flow that goes up; pulls become those of the boxes."""
    count, parts = nodes.fixed.shape[1], box.low.shape[1]
    for index in range(level.size):
        node = level[index]
        if done[nodes.part[node]]:
            continue
        wanted, up = nodes.wanted[node], nodes.flow[node]
        up[:] = 0.0
        for block in range(nodes.block_start[node], nodes.block_start[node + 1]):
            up += flow[block]
        for at in range(nodes.child_start[node], nodes.child_start[node + 1]):
            up += nodes.flow[nodes.child[at]]
        missed = 0.0
        for t in range(count):
            lead = wanted[t] if nodes.tied[node] else 0.0
            wanted[t] = 0.0
            if not nodes.is_row[node, t]:
                continue
            miss = nodes.net[node, t] + nodes.fixed[node, t]
            for k in range(parts):
                miss -= box.low[node, k, t] + box.free[node, k, t] * box.above[node, k, t]
                if not nodes.tied[node]:
                    box.pull[node, k, t] += box.cost[node, k, t] - nodes.price[node, t]
                    lead += box.pull[node, k, t] * box.inverse[node, k, t]
            wanted[t] = lead + miss + up[t]
            missed += abs(miss * nodes.price[node, t])
        nodes.missed[node] = missed
        if nodes.passes[node]:
            step = wanted.copy()
            solve_lower(nodes.system[node], step)
            solve_upper(nodes.system[node], step)
            for t in range(count):
                for j in range(count):
                    up[t] -= nodes.inner[node, t, j] * step[j]


@compiled
def descend(nodes: Nodes, box: Box, level: Ints, done: Flags) -> None:
    """Steps of the prices of one level, and the pull that they leave on the boxes."""
    count, parts = nodes.fixed.shape[1], box.low.shape[1]
    for index in range(level.size):
        node = level[index]
        if done[nodes.part[node]]:
            continue
        above, step, total = nodes.parent[node], nodes.price_step[node], nodes.total_step[node]
        step[:] = nodes.wanted[node]
        total[:] = nodes.push[node]
        if above >= 0:
            total += nodes.total_step[above]
        if nodes.passes[node]:
            for t in range(count):
                if nodes.is_row[node, t]:
                    for j in range(count):
                        step[t] -= nodes.inner[node, t, j] * total[j]
        solve_lower(nodes.system[node], step)
        step += nodes.shift[node]
        solve_upper(nodes.system[node], step)
        for t in range(count):
            if not nodes.is_row[node, t]:
                step[t] = 0.0
            total[t] += step[t]
            for k in range(parts):
                box.pull[node, k, t] -= step[t]


@compiled
def move_prices(nodes: Nodes, done: Flags, dual: Floats, first: int, last: int) -> None:
    """Take the step of the groups' prices; `dual` is its length by part."""
    for node in range(first, last):
        part = nodes.part[node]
        if done[part]:
            continue
        for t in range(nodes.fixed.shape[1]):
            nodes.price[node, t] += dual[part] * nodes.price_step[node, t]
            nodes.total[node, t] += dual[part] * nodes.total_step[node, t]
