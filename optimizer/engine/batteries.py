"""The batteries' part of an iteration: tridiagonal systems, and what they say about powers.

With h the pull of a variable (see `boxes`), y the value of stored energy and m the prices of the
groups above, the Newton step of a battery is

    dc = −(h_c − a·dy + dm)/θc      dd = −(h_d + b·dy − dm)/θd
    ds_t = −(h_s + dy_t − λ_{t+1}·dy_{t+1})/θs      K·dy = q + F·dm      F = a/θc + b/θd

with K tridiagonal: K_tt = g_t + w_t + λ_t²·w_{t−1}, K_{t,t+1} = −λ_{t+1}·w_t, g = a²/θc + b²/θd,
w = 1/θs. Pivots written as K minus something cancel when θ is spread; the recurrences below hold
no subtraction (on inverses of tridiagonal matrices: Meurant, SIAM J. Matrix Anal. Appl. 13, 1992).

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

CHARGE, DISCHARGE, ENERGY = 0, 1, 2
"""Places of a battery's three variables in the second axis of its box."""


class Cells(NamedTuple):
    """Batteries, one row each; T intervals.

    Beside it stand two boxes: charge, discharge and energy at the instants 1 to T, shape (n, 3, T),
    and the further pieces of variables that have several slopes, shape (k,).

    Attributes:
        gain: shape (n, T), kWh stored by a kW of charging: a.
        drain: shape (n, T), kWh taken by a kW of discharging: b.
        kept: shape (n, T), share of the energy left after an interval: λ.
        inflow: shape (n, T), kWh; the first interval's holds what is left of the first energy too.
        value: shape (n, T), multiplier of the balance: y.
        value_step: shape (n, T).
        miss: shape (n, T), residual of the balance.
        ratio: shape (n, T), λ w/(w + ρ): what a row of the factor passes on.
        pivot: shape (n, T), 1/(w + ρ).
        piece_at: shape (k,), what each piece belongs to: the variable axis · T + interval or, from
            3 T on, the row of `Links`. Sorted by battery.
        piece_start: shape (n + 1,), first piece of each battery.
    """

    gain: Floats
    drain: Floats
    kept: Floats
    inflow: Floats
    value: Floats
    value_step: Floats
    miss: Floats
    ratio: Floats
    pivot: Floats
    piece_at: Ints
    piece_start: Ints


class Blocks(NamedTuple):
    """Runs of batteries under one node: the unit of parallel work, whatever the number of threads.

    Attributes:
        start, stop: shape (B,), rows of the batteries.
        node: shape (B,), the node they hang under.
        part: shape (B,), the independent part they belong to.
        coupled: shape (B,), whether any row holds the node.
        linked: shape (B,), whether its batteries have further rows (`linked`).
        response: shape (B, T, T), upper triangle of Σ [diag(1/θc + 1/θd) − F K⁻¹ F].
        flow: shape (B, T), what the batteries' powers do at unchanged prices of groups.
        net: shape (B, T), Σ (c − d).
        missed: shape (B,), Σ |miss · value|.
    """

    start: Ints
    stop: Ints
    node: Ints
    part: Ints
    coupled: Flags
    linked: Flags
    response: Floats
    flow: Floats
    net: Floats
    missed: Floats


class Alone(NamedTuple):
    """Units that stand in network rows by themselves; U of them, with a price of their own.

    Attributes:
        place: shape (n,), place of each battery among them, −1 for none.
        row: shape (U,), the battery.
        part: shape (U,), the independent part it belongs to.
        slot_start: shape (U + 1,), first of its intervals that rows name.
        slot_at: shape (S,), these intervals.
        column: shape (S, T), response of the unit's net to a price in that interval alone.
        net: shape (U, T), c − d.
        flow: shape (U, T), what their powers do at unchanged prices.
        price: shape (U, T), Σ weight · price of the rows.
        price_step: shape (U, T).
    """

    place: Ints
    row: Ints
    part: Ints
    slot_start: Ints
    slot_at: Ints
    column: Floats
    net: Floats
    flow: Floats
    price: Floats
    price_step: Floats


@compiled
def factor(g: Floats, w: Floats, kept: Floats, ratio: Floats, pivot: Floats) -> None:
    """Inverse pivots 1/(w + ρ) and ratios λ w/(w + ρ) of K, by the forward recurrence."""
    last = g.size - 1
    rho = g[0]
    for t in range(last):
        pivot[t] = 1.0 / (w[t] + rho)
        share = w[t] * pivot[t]
        ratio[t] = kept[t + 1] * share
        rho = g[t + 1] + kept[t + 1] * kept[t + 1] * share * rho
    pivot[last] = 1.0 / (w[last] + rho)
    ratio[last] = 0.0


@compiled
def invert_diagonal(
    g: Floats, w: Floats, kept: Floats, pivot: Floats, diagonal: Floats, others: Floats
) -> None:
    """K⁻¹_tt = 1/(g + ℓ) and ℓ = L + R, by both recurrences."""
    last = g.size - 1
    back = w[last]
    others[last] = back
    for t in range(last, 0, -1):
        sigma = g[t] + back
        back = w[t - 1] * sigma / (kept[t] * kept[t] * w[t - 1] + sigma)
        others[t - 1] = back
    ahead = 0.0
    for t in range(last + 1):
        others[t] += ahead
        diagonal[t] = 1.0 / (g[t] + others[t])
        if t < last:
            ahead = kept[t + 1] * kept[t + 1] * w[t] * (g[t] + ahead) * pivot[t]


@compiled
def solve_tridiagonal(ratio: Floats, pivot: Floats, x: Floats) -> None:
    """x ← K⁻¹ x."""
    for t in range(1, x.size):
        x[t] += ratio[t - 1] * x[t - 1]
    x[-1] *= pivot[-1]
    for t in range(x.size - 2, -1, -1):
        x[t] = x[t] * pivot[t] + ratio[t] * x[t + 1]


@compiled
def add_response(
    force: Floats, own: Floats, ratio: Floats, diagonal: Floats, reach: Floats, response: Floats
) -> None:
    """Upper triangle of the response += diag(own) − what of F K⁻¹ F lies off the diagonal.

    Off the diagonal K⁻¹_tj = ratio_t · K⁻¹_{t+1,j}; `reach` is one row of it, times F.
    """
    last = force.size - 1
    for j in range(last + 1):
        reach[j] = diagonal[j] * force[j]
        response[j, j] += own[j]
    for t in range(last - 1, -1, -1):
        step, here = ratio[t], force[t]
        ahead, row = reach[t + 1 :], response[t, t + 1 :]
        for j in range(ahead.size):
            ahead[j] *= step
            row[j] -= here * ahead[j]


@compiled
def _add_spread(at: Ints, inverse: Floats, spread: Floats) -> None:
    """spread += 1/θ of the pieces `at` variables, shape (3, T)."""
    for k in range(at.size):
        axis, t = divmod(at[k], spread.shape[1])
        spread[axis, t] += inverse[k]


@compiled
def factorise(
    cells: Cells,
    box: Box,
    pieces: Box,
    blocks: Blocks,
    alone: Alone,
    done: Flags,
    first: int,
    last: int,
) -> None:
    """Factors of every K, residuals of the balances, responses and nets of the blocks."""
    count = cells.gain.shape[1]
    g, force, own = np.empty(count), np.empty(count), np.empty(count)
    diagonal, others, reach = np.empty(count), np.empty(count), np.empty(count)
    value, spread = np.empty((3, count)), np.empty((3, count))
    for block in range(first, last):
        if done[blocks.part[block]] or blocks.linked[block]:
            continue
        response = blocks.response[block] if blocks.coupled[block] else blocks.response[0]
        if blocks.coupled[block]:
            response[:, :] = 0.0
        blocks.net[block, :] = 0.0
        missed = 0.0
        for i in range(blocks.start[block], blocks.stop[block]):
            a, b, kept = cells.gain[i], cells.drain[i], cells.kept[i]
            begin, end = cells.piece_start[i], cells.piece_start[i + 1]
            value[:, :] = box.low[i] + box.free[i] * box.above[i]
            for k in range(begin, end):
                axis, t = divmod(cells.piece_at[k], count)
                value[axis, t] += pieces.low[k] + pieces.free[k] * pieces.above[k]
            place = alone.place[i]
            net = alone.net[place] if place >= 0 else blocks.net[block]
            if place >= 0:
                net[:] = 0.0
            missed += _residual(
                value, a, b, kept, cells.inflow[i], cells.value[i], cells.miss[i], net
            )
            spread[:, :] = box.inverse[i]
            if begin < end:
                _add_spread(cells.piece_at[begin:end], pieces.inverse[begin:end], spread)
            charge, discharge, w = spread[CHARGE], spread[DISCHARGE], spread[ENERGY]
            for t in range(count):
                g[t] = a[t] * a[t] * charge[t] + b[t] * b[t] * discharge[t]
            factor(g, w, kept, cells.ratio[i], cells.pivot[i])
            if not blocks.coupled[block]:
                continue
            invert_diagonal(g, w, kept, cells.pivot[i], diagonal, others)
            for t in range(count):
                force[t] = a[t] * charge[t] + b[t] * discharge[t]
                # 1/θc + 1/θd − F²/(g + ℓ), multiplied out: nothing cancels.
                both = (a[t] - b[t]) * (a[t] - b[t]) * charge[t] * discharge[t]
                own[t] = (both + others[t] * (charge[t] + discharge[t])) * diagonal[t]
            add_response(force, own, cells.ratio[i], diagonal, reach, response)
            if place >= 0:
                blocks.net[block] += net
                _answer_alone(alone, place, force, own, cells.ratio[i], diagonal)
        blocks.missed[block] = missed


@compiled
def _answer_alone(
    alone: Alone, place: int, force: Floats, own: Floats, ratio: Floats, diagonal: Floats
) -> None:
    """Columns of a single battery's own diag(own) − F K⁻¹ F, for the intervals of its rows."""
    for slot in range(alone.slot_start[place], alone.slot_start[place + 1]):
        t, column = alone.slot_at[slot], alone.column[slot]
        column[t] = own[t]
        reach = diagonal[t] * force[t]
        for j in range(t - 1, -1, -1):
            reach *= ratio[j]
            column[j] = -force[j] * reach
        reach = force[t]
        for j in range(t + 1, force.size):
            reach *= ratio[j - 1]
            column[j] = -force[j] * diagonal[j] * reach


@compiled
def _residual(
    x: Floats, a: Floats, b: Floats, kept: Floats, inflow: Floats, value: Floats, miss: Floats,
    net: Floats,
) -> float:  # fmt: skip
    """Miss s_t − λ s_{t−1} − a c + b d − inflow of a battery with c, d, s in `x`; net += c − d."""
    before, cost = 0.0, 0.0
    for t in range(miss.size):
        charge, discharge, energy = x[0, t], x[1, t], x[2, t]
        net[t] += charge - discharge
        miss[t] = energy - kept[t] * before - (a[t] * charge - b[t] * discharge + inflow[t])
        cost += abs(miss[t] * value[t])
        before = energy
    return cost


@compiled
def _add_prices(
    pull: Floats, cost: Floats, a: Floats, b: Floats, kept: Floats, value: Floats, price: Floats,
    with_cost: float,
) -> None:  # fmt: skip
    """pull += what values and group prices add to the reduced costs, and the costs themselves."""
    last = value.size - 1
    for t in range(last + 1):
        pull[0, t] += with_cost * cost[0, t] - a[t] * value[t] + price[t]
        pull[1, t] += with_cost * cost[1, t] + b[t] * value[t] - price[t]
        pull[2, t] += with_cost * cost[2, t] + value[t]
    for t in range(last):
        pull[2, t] -= kept[t + 1] * value[t + 1]


@compiled
def _add_to_pieces(
    at: Ints, pull: Floats, cost: Floats, a: Floats, b: Floats, kept: Floats, value: Floats,
    price: Floats, with_cost: float,
) -> None:  # fmt: skip
    """The same for the pieces `at` variables."""
    for k in range(at.size):
        axis, t = divmod(at[k], value.size)
        owed = with_cost * cost[k]
        if axis == CHARGE:
            owed += price[t] - a[t] * value[t]
        elif axis == DISCHARGE:
            owed += b[t] * value[t] - price[t]
        else:
            owed += value[t]
            if t < value.size - 1:
                owed -= kept[t + 1] * value[t + 1]
        pull[k] += owed


@compiled
def respond(
    cells: Cells,
    box: Box,
    pieces: Box,
    blocks: Blocks,
    alone: Alone,
    price: Floats,
    done: Flags,
    first: int,
    last: int,
) -> None:
    """Steps of values at unchanged group prices, and the flows that go with them.

    The pull of every cell becomes its h; `price` is the sum of the prices above, by node.
    """
    count = cells.gain.shape[1]
    drive, spread = np.empty((3, count)), np.empty((3, count))
    for block in range(first, last):
        if done[blocks.part[block]] or blocks.linked[block]:
            continue
        flow, above = blocks.flow[block], price[blocks.node[block]]
        flow[:] = 0.0
        for i in range(blocks.start[block], blocks.stop[block]):
            a, b, kept, value = cells.gain[i], cells.drain[i], cells.kept[i], cells.value[i]
            q, miss = cells.value_step[i], cells.miss[i]
            begin, end = cells.piece_start[i], cells.piece_start[i + 1]
            place = alone.place[i]
            seen = above + alone.price[place] if place >= 0 else above
            _add_prices(box.pull[i], box.cost[i], a, b, kept, value, seen, 1.0)
            # Σ h/θ over all pieces.
            drive[:, :] = box.pull[i] * box.inverse[i]
            spread[:, :] = box.inverse[i]
            if begin < end:
                at, pull = cells.piece_at[begin:end], pieces.pull[begin:end]
                inverse = pieces.inverse[begin:end]
                _add_to_pieces(at, pull, pieces.cost[begin:end], a, b, kept, value, seen, 1.0)
                _add_spread(at, pull * inverse, drive)
                _add_spread(at, inverse, spread)
            # q = miss − H_t + λ H_{t−1} + a h_c/θc − b h_d/θd with H = h_s/θs
            before = 0.0
            for t in range(count):
                q[t] = miss[t] - drive[2, t] + kept[t] * before
                q[t] += a[t] * drive[0, t] - b[t] * drive[1, t]
                before = drive[2, t]
            solve_tridiagonal(cells.ratio[i], cells.pivot[i], q)
            if not blocks.coupled[block]:
                continue
            own = alone.flow[place] if place >= 0 else flow
            if place >= 0:
                own[:] = 0.0
            for t in range(count):
                # −(h_c − a dy)/θc + (h_d + b dy)/θd
                own[t] += a[t] * q[t] * spread[0, t] - drive[0, t]
                own[t] += b[t] * q[t] * spread[1, t] + drive[1, t]
            if place >= 0:
                flow += own


@compiled
def follow(
    cells: Cells,
    box: Box,
    pieces: Box,
    blocks: Blocks,
    alone: Alone,
    price_step: Floats,
    done: Flags,
    first: int,
    last: int,
) -> None:
    """Steps of values with those of the group prices, and the pull that all of them leave."""
    count = cells.gain.shape[1]
    more, spread = np.empty(count), np.empty((3, count))
    for block in range(first, last):
        if done[blocks.part[block]] or blocks.linked[block]:
            continue
        above = price_step[blocks.node[block]]
        for i in range(blocks.start[block], blocks.stop[block]):
            a, b, kept, step = cells.gain[i], cells.drain[i], cells.kept[i], cells.value_step[i]
            begin, end = cells.piece_start[i], cells.piece_start[i + 1]
            place = alone.place[i]
            moved = above + alone.price_step[place] if place >= 0 else above
            if blocks.coupled[block]:
                spread[:, :] = box.inverse[i]
                if begin < end:
                    _add_spread(cells.piece_at[begin:end], pieces.inverse[begin:end], spread)
                for t in range(count):
                    more[t] = (a[t] * spread[0, t] + b[t] * spread[1, t]) * moved[t]
                solve_tridiagonal(cells.ratio[i], cells.pivot[i], more)
                for t in range(count):
                    step[t] += more[t]
            _add_prices(box.pull[i], box.cost[i], a, b, kept, step, moved, 0.0)
            if begin < end:
                at, pull, cost = (
                    cells.piece_at[begin:end],
                    pieces.pull[begin:end],
                    pieces.cost[begin:end],
                )
                _add_to_pieces(at, pull, cost, a, b, kept, step, moved, 0.0)


@compiled
def move_values(
    cells: Cells, blocks: Blocks, done: Flags, dual: Floats, first: int, last: int
) -> None:
    """Take the step of the values of energy; `dual` is its length by part."""
    for block in range(first, last):
        part = blocks.part[block]
        if done[part] or blocks.linked[block]:
            continue
        for i in range(blocks.start[block], blocks.stop[block]):
            for t in range(cells.value.shape[1]):
                cells.value[i, t] += dual[part] * cells.value_step[i, t]
