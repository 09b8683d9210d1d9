"""Network rows: the top of the arrow, and what a piece of work does for them.

A row says that Σ weight · P over nodes and units in one interval is x, a sum of boxes. Its price π
is seen by each of them times its weight. With the groups' rows eliminated up the tree, the steps of
all π solve (M + 1/θx)·dπ = ρ + H_x + miss, where −M is what nets and units answer to the prices.

At a node a row has either one weight w for all that hangs below (a *whole* entry: its answer is a
column of the node's response, times w) or something further down (a *column*: u, the change of the
node's net by dπ = 1). With UᵀU = S' + 1/θz, V = U⁻ᵀu and P the response that the node passes on,

    M = Σ_units w·w'·R_tt' + Σ_nodes (w·w'·P_tt' − w·(u − S'U⁻¹V)_t − VᵀV)

so that M needs neither columns of batteries nor prices carried down again.

All compiled functions that call each other stand in this one file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from twins.jit import compiled

if TYPE_CHECKING:
    import numpy.typing as npt

    from optimizer.engine.batteries import Alone
    from optimizer.engine.boxes import Box
    from optimizer.engine.nodes import Nodes

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]
    Flags = npt.NDArray[np.bool_]


class Across(NamedTuple):
    """Network rows of a piece of work; K of them, by interval, over m nodes and U single units.

    Beside it stands the box of the parts of the rows' values, shape (K, 3).

    Attributes:
        interval, fixed, part: shape (K,), see `Binding`; the part is that of `Work`.
        price, price_step: shape (K,), π.
        wanted: shape (K,), right-hand side.
        missed: shape (K,), |miss · π|.
        lost: shape (K,), diagonal of M before anything was taken off: what it may have lost.
        whole_start: shape (m + 1,), first of the whole entries of each node.
        whole_row, whole_weight: shape (W,).
        whole_above: shape (W,), the column of the row at the node's parent, −1 at the top.
        by_row_whole_start, by_row_whole: the same entries by row: shapes (K + 1,) and (W,).
        whole_node: shape (W,), node of each entry.
        column_start: shape (m + 1,), first column of each node.
        column_row, column_node: shape (C,).
        column_above: shape (C,), the column of the row at the node's parent, −1 at the top.
        by_row_column_start, by_row_column: shapes (K + 1,) and (C,).
        answer: shape (C · T,), a table (T, columns) for each node: u, then u − S'U⁻¹V.
        half: shape (C · T,), the same for V.
        lower: shape (m, T), U⁻ᵀ of the nodes' right-hand sides.
        single_start: shape (m + 1,), first of the unit entries below each node itself.
        single_unit, single_slot, single_row, single_column: shape (E,), the unit, its interval's
            place in `Alone`, the row and its column at the unit's node.
        single_weight: shape (E,).
        unit_start: shape (U + 1,), first entry of each unit, rows rising.
        by_row_single_start, by_row_single: shapes (K + 1,) and (E,).
    """

    interval: Ints
    fixed: Floats
    part: Ints
    price: Floats
    price_step: Floats
    wanted: Floats
    missed: Floats
    lost: Floats
    whole_start: Ints
    whole_row: Ints
    whole_weight: Floats
    whole_above: Ints
    whole_node: Ints
    by_row_whole_start: Ints
    by_row_whole: Ints
    column_start: Ints
    column_row: Ints
    column_node: Ints
    column_above: Ints
    by_row_column_start: Ints
    by_row_column: Ints
    answer: Floats
    half: Floats
    lower: Floats
    single_start: Ints
    single_unit: Ints
    single_slot: Ints
    single_row: Ints
    single_column: Ints
    single_weight: Floats
    unit_start: Ints
    by_row_single_start: Ints
    by_row_single: Ints


@compiled
def _table(flat: Floats, across: Across, node: int, count: int) -> Floats:
    """The columns of a node, shape (T, columns)."""
    first, last = across.column_start[node], across.column_start[node + 1]
    return flat[first * count : last * count].reshape(count, last - first)


@compiled
def _lower(upper: Floats, x: Floats) -> None:
    """x ← U⁻ᵀ x for all columns of x."""
    for k in range(x.shape[0]):
        row = x[k]
        over = 1.0 / upper[k, k]
        for c in range(row.size):
            row[c] *= over
        for j in range(k + 1, x.shape[0]):
            share, below = upper[k, j], x[j]
            for c in range(row.size):
                below[c] -= share * row[c]


@compiled
def _upper(upper: Floats, x: Floats) -> None:
    """x ← U⁻¹ x for all columns of x."""
    for k in range(x.shape[0] - 1, -1, -1):
        row = x[k]
        for j in range(k + 1, x.shape[0]):
            share, above = upper[k, j], x[j]
            for c in range(row.size):
                row[c] -= share * above[c]
        over = 1.0 / upper[k, k]
        for c in range(row.size):
            row[c] *= over


@compiled
def open_columns(
    across: Across,
    nodes: Nodes,
    alone: Alone,
    level: Ints,
    done: Flags,
    first: int,
    last: int,
) -> None:
    """Columns of one level of the tree, from units, from children, and through the own rows."""
    count = nodes.fixed.shape[1]
    for index in range(first, last):
        node = level[index]
        columns = across.column_start[node + 1] - across.column_start[node]
        if done[nodes.part[node]] or columns == 0:
            continue
        answer, half = (
            _table(across.answer, across, node, count),
            _table(across.half, across, node, count),
        )
        answer[:, :] = 0.0
        start = across.column_start[node]
        for entry in range(across.single_start[node], across.single_start[node + 1]):
            weight, column = across.single_weight[entry], across.single_column[entry] - start
            response = alone.column[across.single_slot[entry]]
            for t in range(count):
                answer[t, column] -= weight * response[t]
        for at in range(nodes.child_start[node], nodes.child_start[node + 1]):
            _take_over(across, nodes, nodes.child[at], answer, start)
        for t in range(count):
            half[t, :] = 0.0
            if nodes.is_row[node, t]:
                half[t, :] = answer[t]
        _lower(nodes.system[node], half)
        follow = half.copy()
        _upper(nodes.system[node], follow)
        for t in range(count):
            for j in range(count):
                if nodes.is_row[node, j]:
                    share = nodes.inner[node, t, j]
                    for c in range(columns):
                        answer[t, c] -= share * follow[j, c]


@compiled
def _take_over(across: Across, nodes: Nodes, child: int, answer: Floats, start: int) -> None:
    """What a child's columns and whole entries are at its parent."""
    count = answer.shape[0]
    below = _table(across.answer, across, child, count)
    first = across.column_start[child]
    for c in range(below.shape[1]):
        to = across.column_above[first + c] - start
        for t in range(count):
            answer[t, to] += below[t, c]
    for entry in range(across.whole_start[child], across.whole_start[child + 1]):
        to, weight = across.whole_above[entry] - start, across.whole_weight[entry]
        response = nodes.passed[child, across.interval[across.whole_row[entry]]]
        for t in range(count):
            answer[t, to] -= weight * response[t]


@compiled
def add_columns(
    across: Across, alone: Alone, nodes: Nodes, system: Floats, first: int, last: int
) -> None:
    """Upper triangle of M += all but the pairs of whole entries; turns go by row."""
    count = nodes.fixed.shape[1]
    for k in range(first, last):
        target, at = system[k], across.interval[k]
        across.lost[k] = 0.0
        for place in range(across.by_row_single_start[k], across.by_row_single_start[k + 1]):
            entry = across.by_row_single[place]
            unit, weight = across.single_unit[entry], across.single_weight[entry]
            response = alone.column[across.single_slot[entry]]
            for other in range(entry, across.unit_start[unit + 1]):
                row = across.single_row[other]
                target[row] += weight * across.single_weight[other] * response[across.interval[row]]
            across.lost[k] += weight * weight * response[at]
        for place in range(across.by_row_whole_start[k], across.by_row_whole_start[k + 1]):
            entry = across.by_row_whole[place]
            node, weight = across.whole_node[entry], across.whole_weight[entry]
            across.lost[k] += weight * weight * nodes.inner[node, at, at]
            answer = _table(across.answer, across, node, count)[at]
            rows = across.column_row[across.column_start[node] : across.column_start[node + 1]]
            for c in range(rows.size - 1, -1, -1):
                if rows[c] < k:
                    break
                target[rows[c]] -= weight * answer[c]
        for place in range(across.by_row_column_start[k], across.by_row_column_start[k + 1]):
            _add_column(across, across.by_row_column[place], target, k, count)


@compiled
def _add_column(across: Across, column: int, target: Floats, k: int, count: int) -> None:
    """What row k's column at a node adds to its row of M: −VᵀV, and −w·u with whole entries."""
    node = across.column_node[column]
    start, stop = across.column_start[node], across.column_start[node + 1]
    own, rows = column - start, across.column_row[column:stop]
    half = _table(across.half, across, node, count)
    product = np.zeros(rows.size)
    for t in range(count):
        share, other = half[t, own], half[t, own:]
        for c in range(rows.size):
            product[c] += share * other[c]
    for c in range(rows.size):
        target[rows[c]] -= product[c]
    answer = _table(across.answer, across, node, count)
    for entry in range(across.whole_start[node], across.whole_start[node + 1]):
        row = across.whole_row[entry]
        if row > k:
            target[row] -= across.whole_weight[entry] * answer[across.interval[row], own]


@compiled
def lower_wanted(across: Across, nodes: Nodes, done: Flags, first: int, last: int) -> None:
    """U⁻ᵀ of the right-hand sides of nodes with columns."""
    for node in range(first, last):
        if done[nodes.part[node]] or across.column_start[node + 1] == across.column_start[node]:
            continue
        lower = across.lower[node : node + 1].T.copy()
        lower[:, 0] = nodes.wanted[node]
        _lower(nodes.system[node], lower)
        across.lower[node] = lower[:, 0]


@compiled
def climb_rows(
    across: Across,
    row_box: Box,
    nodes: Nodes,
    alone: Alone,
    done: Flags,
    first: int,
    last: int,
) -> None:
    """Right-hand sides of the rows; pulls become those of the boxes."""
    count = nodes.fixed.shape[1]
    for k in range(first, last):
        across.wanted[k] = 0.0
        if done[across.part[k]]:
            continue
        t, wanted, miss = across.interval[k], 0.0, across.fixed[k]
        for place in range(across.by_row_whole_start[k], across.by_row_whole_start[k + 1]):
            entry = across.by_row_whole[place]
            node, weight = across.whole_node[entry], across.whole_weight[entry]
            wanted += weight * nodes.flow[node, t]
            miss += weight * nodes.net[node, t]
        for place in range(across.by_row_column_start[k], across.by_row_column_start[k + 1]):
            column = across.by_row_column[place]
            node = across.column_node[column]
            half = _table(across.half, across, node, count)
            own = column - across.column_start[node]
            for j in range(count):
                wanted += half[j, own] * across.lower[node, j]
        for place in range(across.by_row_single_start[k], across.by_row_single_start[k + 1]):
            entry = across.by_row_single[place]
            unit, weight = across.single_unit[entry], across.single_weight[entry]
            wanted += weight * alone.flow[unit, t]
            miss += weight * alone.net[unit, t]
        for part in range(row_box.low.shape[1]):
            miss -= row_box.low[k, part] + row_box.free[k, part] * row_box.above[k, part]
            row_box.pull[k, part] += row_box.cost[k, part] - across.price[k]
            wanted += row_box.pull[k, part] * row_box.inverse[k, part]
        across.wanted[k] = wanted + miss
        across.missed[k] = abs(miss * across.price[k])


@compiled
def descend_rows(
    across: Across,
    row_box: Box,
    nodes: Nodes,
    alone: Alone,
    done: Flags,
) -> None:
    """Steps of the rows' prices to their boxes, to the nodes and to the single units."""
    count = nodes.fixed.shape[1]
    for k in range(across.interval.size):
        if not done[across.part[k]]:
            for part in range(row_box.low.shape[1]):
                row_box.pull[k, part] -= across.price_step[k]
    for node in range(nodes.parent.size):
        push, shift = nodes.push[node], nodes.shift[node]
        push[:] = 0.0
        for entry in range(across.whole_start[node], across.whole_start[node + 1]):
            row = across.whole_row[entry]
            push[across.interval[row]] += across.whole_weight[entry] * across.price_step[row]
        half = _table(across.half, across, node, count)
        rows = across.column_row[across.column_start[node] : across.column_start[node + 1]]
        for t in range(count):
            total = 0.0
            for c in range(rows.size):
                total += half[t, c] * across.price_step[rows[c]]
            shift[t] = total
    alone.price_step[:, :] = 0.0
    for entry in range(across.single_unit.size):
        row = across.single_row[entry]
        step = alone.price_step[across.single_unit[entry]]
        step[across.interval[row]] += across.single_weight[entry] * across.price_step[row]


@compiled
def move_rows(across: Across, alone: Alone, done: Flags, dual: Floats) -> None:
    """Take the step of the rows' prices; `dual` is its length by part."""
    for k in range(across.price.size):
        if not done[across.part[k]]:
            across.price[k] += dual[across.part[k]] * across.price_step[k]
    for unit in range(alone.row.size):
        if not done[alone.part[unit]]:
            for t in range(alone.price.shape[1]):
                alone.price[unit, t] += dual[alone.part[unit]] * alone.price_step[unit, t]
