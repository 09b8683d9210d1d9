"""Batteries with further rows: ramps, throughput of a day, targets inside an interval.

Such a battery is a small linear programme A x − v = r. Its rows stand in order of time: the balance
of an interval first, then each row whose last interval that is. v is the row's own variable, a sum
of boxes (what a ramp allows, what goes beyond it, …); a balance has none. With F = A Θ⁻¹ Gᵀ, where
G x is the net power, y the rows' multipliers and m the prices of the groups above,

    K = A Θ⁻¹ Aᵀ + 1/θv      K·dy = q − F·dm      response = diag(1/θc + 1/θd) − Fᵀ K⁻¹ F

A row reaches back to the interval before, that of a day to the day's start. So K has an envelope,
which its Cholesky factor keeps (George and Liu, 1981, chapter 4): a few entries a row.

All compiled functions that call each other stand in this one file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from twins.jit import compiled

if TYPE_CHECKING:
    import numpy.typing as npt

    from optimizer.engine.batteries import Alone, Blocks, Cells
    from optimizer.engine.boxes import Box

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]
    Flags = npt.NDArray[np.bool_]

BALANCE, TARGET, RAMP, CYCLES = range(4)
"""Kinds of rows, in their order within an interval."""
_PIVOT_LEAST = 1e-30
_PIVOT_MENDED = 1e64
REFINEMENTS = 2


class Links(NamedTuple):
    """Rows of the batteries that have further ones; n cells, R rows, E entries of A.

    Attributes:
        place: shape (n,), place among these batteries, −1 for one without further rows.
        row_start: shape (L + 1,), first row of each battery.
        kind: shape (R,), what the row is.
        item: shape (R,), its interval, day or target.
        right: shape (R,), r.
        reach: shape (R,), first column of the row's envelope, counted within the battery.
        offset: shape (R + 1,), where its envelope starts in `factor`.
        factor: K, then its lower Cholesky factor, row by row.
        column_start: shape (3 T L + 1,), first entry of each variable: charge, discharge, energy.
        entry_row: shape (E,), row within the battery, rising along a column.
        entry_value: shape (E,).
        price: shape (R,), multipliers: y.
        price_step: shape (R,).
        miss: shape (R,), residual.
        mended: shape (L,), pivots that had to be mended so far.
    """

    place: Ints
    row_start: Ints
    kind: Ints
    item: Ints
    right: Floats
    reach: Ints
    offset: Ints
    factor: Floats
    column_start: Ints
    entry_row: Ints
    entry_value: Floats
    price: Floats
    price_step: Floats
    miss: Floats
    mended: Ints


@compiled
def factor_envelope(reach: Ints, offset: Ints, factor: Floats) -> int:
    """Lower Cholesky factor of an envelope in place; pivots without size are set aside, counted."""
    mended, start = 0, offset[0]
    for i in range(reach.size):
        row = factor[offset[i] - start : offset[i + 1] - start]
        largest = row[-1]
        for j in range(reach[i], i):
            other = factor[offset[j] - start : offset[j + 1] - start]
            first = max(reach[i], reach[j])
            here, there = row[first - reach[i] : j - reach[i]], other[first - reach[j] :]
            found = row[j - reach[i]]
            for k in range(here.size):
                found -= here[k] * there[k]
            row[j - reach[i]] = found / other[-1]
        pivot = largest
        for k in range(row.size - 1):
            pivot -= row[k] * row[k]
        if not pivot > _PIVOT_LEAST:
            pivot = _PIVOT_MENDED
            mended += 1
        row[-1] = np.sqrt(pivot)
    return mended


@compiled
def solve_envelope(reach: Ints, offset: Ints, factor: Floats, x: Floats) -> None:
    """x ← K⁻¹ x."""
    start = offset[0]
    for i in range(x.size):
        row, found = factor[offset[i] - start : offset[i + 1] - start], x[i]
        before = x[reach[i] : i]
        for k in range(before.size):
            found -= row[k] * before[k]
        x[i] = found / row[-1]
    for i in range(x.size - 1, -1, -1):
        row = factor[offset[i] - start : offset[i + 1] - start]
        x[i] /= row[-1]
        before, share = x[reach[i] : i], x[i]
        for k in range(before.size):
            before[k] -= row[k] * share


@compiled
def subtract_response(
    kind: Ints, reach: Ints, offset: Ints, factor: Floats, force: Floats, out: Floats
) -> None:
    """Upper triangle of `out` −= Fᵀ K⁻¹ F; `force` is F, shape (rows, T), and becomes L⁻¹ F."""
    start, filled = offset[0], 0
    for i in range(reach.size):
        # An interval's column begins at its balance: further ones are still empty.
        filled += kind[i] == BALANCE
        row, here = factor[offset[i] - start : offset[i + 1] - start], force[i, :filled]
        for j in range(reach[i], i):
            share, other = row[j - reach[i]], force[j]
            for t in range(here.size):
                here[t] -= share * other[t]
        over = 1.0 / row[-1]
        for t in range(here.size):
            here[t] *= over
        for t in range(here.size):
            share, right, target = here[t], here[t:], out[t, t:]
            for k in range(right.size):
                target[k] -= share * right[k]


@compiled
def _spread(cells: Cells, box: Box, pieces: Box, i: int, column: Floats, own: Floats) -> None:
    """1/θ of every variable with all its pieces, and of the rows' own variables."""
    count = cells.gain.shape[1]
    for kind in range(3):
        for t in range(count):
            column[kind * count + t] = box.inverse[i, kind, t]
    own[:] = 0.0
    for k in range(cells.piece_start[i], cells.piece_start[i + 1]):
        at = cells.piece_at[k]
        if at < column.size:
            column[at] += pieces.inverse[k]
        else:
            own[at - column.size] += pieces.inverse[k]


@compiled
def _form(links: Links, at: int, column: Floats, own: Floats, factor: Floats) -> None:
    """K = A Θ⁻¹ Aᵀ + 1/θv of the battery `at` in its envelope."""
    first_row, first = links.row_start[at], at * column.size
    start = links.offset[first_row]
    factor[:] = 0.0
    for c in range(column.size):
        begin, end = links.column_start[first + c], links.column_start[first + c + 1]
        for e in range(begin, end):
            row = links.entry_row[e]
            to = links.offset[first_row + row] - start - links.reach[first_row + row]
            scaled = column[c] * links.entry_value[e]
            for other in range(begin, e + 1):
                factor[to + links.entry_row[other]] += scaled * links.entry_value[other]
    for row in range(own.size):
        factor[links.offset[first_row + row + 1] - start - 1] += own[row]


@compiled
def _force(links: Links, at: int, column: Floats, force: Floats) -> None:
    """F = A Θ⁻¹ Gᵀ with the net power G x = c − d."""
    count = force.shape[1]
    force[:, :] = 0.0
    for c in range(2 * count):
        sign, t = (1.0, c) if c < count else (-1.0, c - count)
        first = at * column.size + c
        for e in range(links.column_start[first], links.column_start[first + 1]):
            force[links.entry_row[e], t] += sign * column[c] * links.entry_value[e]


@compiled
def _residual(
    cells: Cells, links: Links, box: Box, pieces: Box, i: int, x: Floats, net: Floats
) -> float:
    """Misses A x − v − r of a battery; its net power is added to `net`."""
    at, count = links.place[i], net.size
    rows = links.row_start[at], links.row_start[at + 1]
    miss = links.miss[rows[0] : rows[1]]
    for row in range(miss.size):
        miss[row] = -links.right[rows[0] + row]
    for kind in range(3):
        for t in range(count):
            free = box.free[i, kind, t] * box.above[i, kind, t]
            x[kind * count + t] = box.low[i, kind, t] + free
    for k in range(cells.piece_start[i], cells.piece_start[i + 1]):
        value, place = pieces.low[k] + pieces.free[k] * pieces.above[k], cells.piece_at[k]
        if place < x.size:
            x[place] += value
        else:
            miss[place - x.size] -= value
    for c in range(x.size):
        for e in range(
            links.column_start[at * x.size + c], links.column_start[at * x.size + c + 1]
        ):
            miss[links.entry_row[e]] += links.entry_value[e] * x[c]
    for t in range(count):
        net[t] += x[t] - x[count + t]
    cost = 0.0
    for row in range(miss.size):
        cost += abs(miss[row] * links.price[rows[0] + row])
    return cost


@compiled
def factorise(
    cells: Cells,
    links: Links,
    box: Box,
    pieces: Box,
    blocks: Blocks,
    alone: Alone,
    done: Flags,
    first: int,
    last: int,
) -> None:
    """Factors of every K, residuals of the rows, responses and nets of the blocks."""
    count = cells.gain.shape[1]
    column = np.empty(3 * count)
    for block in range(first, last):
        if done[blocks.part[block]] or not blocks.linked[block]:
            continue
        response = blocks.response[block] if blocks.coupled[block] else blocks.response[0]
        if blocks.coupled[block]:
            response[:, :] = 0.0
        blocks.net[block, :] = 0.0
        missed = 0.0
        for i in range(blocks.start[block], blocks.stop[block]):
            at = links.place[i]
            begin, end = links.row_start[at], links.row_start[at + 1]
            kind, reach = links.kind[begin:end], links.reach[begin:end]
            offset = links.offset[begin : end + 1]
            factor, own = links.factor[offset[0] : offset[-1]], np.empty(end - begin)
            place = alone.place[i]
            net = alone.net[place] if place >= 0 else blocks.net[block]
            if place >= 0:
                net[:] = 0.0
            missed += _residual(cells, links, box, pieces, i, column, net)
            _spread(cells, box, pieces, i, column, own)
            _form(links, at, column, own, factor)
            links.mended[at] += factor_envelope(reach, offset, factor)
            if not blocks.coupled[block]:
                continue
            for t in range(count):
                response[t, t] += column[t] + column[count + t]
            force = np.empty((end - begin, count))
            _force(links, at, column, force)
            if place >= 0:
                blocks.net[block] += net
                _answer_alone(alone, place, column, force, reach, offset, factor)
            subtract_response(kind, reach, offset, factor, force, response)
        blocks.missed[block] = missed


@compiled
def _answer_alone(
    alone: Alone,
    place: int,
    column: Floats,
    force: Floats,
    reach: Ints,
    offset: Ints,
    factor: Floats,
) -> None:
    """Columns of a single battery's own response, for the intervals of its network rows."""
    count = force.shape[1]
    for slot in range(alone.slot_start[place], alone.slot_start[place + 1]):
        t, answer = alone.slot_at[slot], alone.column[slot]
        step = force[:, t].copy()
        solve_envelope(reach, offset, factor, step)
        answer[:] = 0.0
        for row in range(step.size):
            for j in range(count):
                answer[j] -= force[row, j] * step[row]
        answer[t] += column[t] + column[count + t]


@compiled
def _add_prices(
    cells: Cells,
    links: Links,
    box: Box,
    pieces: Box,
    i: int,
    price: Floats,
    above: Floats,
    with_cost: float,
) -> None:
    """pull += what the prices of rows and groups add to the reduced costs, and the costs."""
    at, count = links.place[i], above.size
    added = np.zeros(3 * count)
    for c in range(added.size):
        place = at * added.size + c
        for e in range(links.column_start[place], links.column_start[place + 1]):
            added[c] += links.entry_value[e] * price[links.entry_row[e]]
    for t in range(count):
        added[t] += above[t]
        added[count + t] -= above[t]
    for kind in range(3):
        for t in range(count):
            cost = with_cost * box.cost[i, kind, t]
            box.pull[i, kind, t] += cost + added[kind * count + t]
    for k in range(cells.piece_start[i], cells.piece_start[i + 1]):
        place = cells.piece_at[k]
        owed = added[place] if place < added.size else -price[place - added.size]
        pieces.pull[k] += with_cost * pieces.cost[k] + owed


@compiled
def _flow(cells: Cells, box: Box, pieces: Box, i: int, flow: Floats, own: Floats) -> None:
    """Steps −h/θ of every variable, of a row's own variable as well."""
    count = cells.gain.shape[1]
    for kind in range(3):
        for t in range(count):
            flow[kind * count + t] = -box.pull[i, kind, t] * box.inverse[i, kind, t]
    own[:] = 0.0
    for k in range(cells.piece_start[i], cells.piece_start[i + 1]):
        step, place = -pieces.pull[k] * pieces.inverse[k], cells.piece_at[k]
        if place < flow.size:
            flow[place] += step
        else:
            own[place - flow.size] += step


@compiled
def _rows_left(links: Links, at: int, flow: Floats, own: Floats, left: Floats) -> None:
    """Residual of the rows after the steps: A dx − dv + miss."""
    first = links.row_start[at]
    for row in range(own.size):
        left[row] = links.miss[first + row] - own[row]
    for c in range(flow.size):
        place = at * flow.size + c
        for e in range(links.column_start[place], links.column_start[place + 1]):
            left[links.entry_row[e]] += links.entry_value[e] * flow[c]


@compiled
def respond(
    cells: Cells,
    links: Links,
    box: Box,
    pieces: Box,
    blocks: Blocks,
    alone: Alone,
    price: Floats,
    done: Flags,
    first: int,
    last: int,
) -> None:
    """Steps of multipliers at unchanged group prices, and the flows that go with them.

    The pull of every cell becomes its h; `price` is the sum of the prices above, by node.
    """
    count = cells.gain.shape[1]
    flow = np.empty(3 * count)
    for block in range(first, last):
        if done[blocks.part[block]] or not blocks.linked[block]:
            continue
        total, above = blocks.flow[block], price[blocks.node[block]]
        total[:] = 0.0
        for i in range(blocks.start[block], blocks.stop[block]):
            at = links.place[i]
            begin, end = links.row_start[at], links.row_start[at + 1]
            offset = links.offset[begin : end + 1]
            step, own = links.price_step[begin:end], np.empty(end - begin)
            place = alone.place[i]
            seen = above + alone.price[place] if place >= 0 else above
            _add_prices(cells, links, box, pieces, i, links.price[begin:end], seen, 1.0)
            _flow(cells, box, pieces, i, flow, own)
            _rows_left(links, at, flow, own, step)
            factor = links.factor[offset[0] : offset[-1]]
            solve_envelope(links.reach[begin:end], offset, factor, step)
            # The further pull of these steps is not kept: `follow` adds all of it at once.
            if place >= 0:
                alone.flow[place, :] = 0.0
                _add_flow(cells, links, box, pieces, i, step, flow, alone.flow[place])
                total += alone.flow[place]
            elif blocks.coupled[block]:
                _add_flow(cells, links, box, pieces, i, step, flow, total)


@compiled
def _add_flow(
    cells: Cells,
    links: Links,
    box: Box,
    pieces: Box,
    i: int,
    step: Floats,
    flow: Floats,
    total: Floats,
) -> None:
    """total += steps of c − d with the multipliers' `step` taken; `flow` are those without."""
    at, count = links.place[i], total.size
    for t in range(2 * count):
        inverse = box.inverse[i, t // count, t % count]
        place, added = at * flow.size + t, 0.0
        for e in range(links.column_start[place], links.column_start[place + 1]):
            added += links.entry_value[e] * step[links.entry_row[e]]
        flow[t] -= added * inverse
    for k in range(cells.piece_start[i], cells.piece_start[i + 1]):
        t = cells.piece_at[k]
        if t >= 2 * count:
            continue
        place, added = at * flow.size + t, 0.0
        for e in range(links.column_start[place], links.column_start[place + 1]):
            added += links.entry_value[e] * step[links.entry_row[e]]
        flow[t] -= added * pieces.inverse[k]
    for t in range(count):
        total[t] += flow[t] - flow[count + t]


@compiled
def follow(
    cells: Cells,
    links: Links,
    box: Box,
    pieces: Box,
    blocks: Blocks,
    alone: Alone,
    price_step: Floats,
    done: Flags,
    first: int,
    last: int,
) -> None:
    """Steps of multipliers with those of the group prices, and the pull that all of them leave.

    What the rows are still short of after a solve is solved for once more: K is squared in the
    spread of θ, and the steps of the powers are exact in all but the rows.
    """
    count = cells.gain.shape[1]
    flow, none = np.empty(3 * count), np.zeros(count)
    for block in range(first, last):
        if done[blocks.part[block]] or not blocks.linked[block]:
            continue
        above = price_step[blocks.node[block]]
        for i in range(blocks.start[block], blocks.stop[block]):
            at, place = links.place[i], alone.place[i]
            moved = above + alone.price_step[place] if place >= 0 else above
            begin, end = links.row_start[at], links.row_start[at + 1]
            offset, reach = links.offset[begin : end + 1], links.reach[begin:end]
            factor = links.factor[offset[0] : offset[-1]]
            step, own, more = (
                links.price_step[begin:end],
                np.empty(end - begin),
                np.empty(end - begin),
            )
            _add_prices(cells, links, box, pieces, i, step, moved, 0.0)
            for _ in range(REFINEMENTS):
                _flow(cells, box, pieces, i, flow, own)
                _rows_left(links, at, flow, own, more)
                solve_envelope(reach, offset, factor, more)
                _add_prices(cells, links, box, pieces, i, more, none, 0.0)
                for row in range(step.size):
                    step[row] += more[row]


@compiled
def move_prices(
    cells: Cells, links: Links, blocks: Blocks, done: Flags, dual: Floats, first: int, last: int
) -> None:
    """Take the step of the rows' multipliers; `dual` is its length by part."""
    for block in range(first, last):
        part = blocks.part[block]
        if done[part] or not blocks.linked[block]:
            continue
        for i in range(blocks.start[block], blocks.stop[block]):
            at = links.place[i]
            for row in range(links.row_start[at], links.row_start[at + 1]):
                links.price[row] += dual[part] * links.price_step[row]
                if links.kind[row] == BALANCE:
                    cells.value[i, links.item[row]] = links.price[row]
