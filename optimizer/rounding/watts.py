"""Powers in whole watts that follow a plan's stored energy and keep what the plan keeps.

Each battery follows its planned energy with whole watts: what one interval rounds away, the next
takes back. How far an energy may stray follows from all that is still to come (`_viable`), so that
the last intervals never have to be mended. The batteries of a group are rounded one after the
other, and each makes up for what those before it did to the group's net (error diffusion, here
over time and over the tree at once).

All compiled functions that call each other stand in this one file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from twins.jit import compiled

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]
    Flags = npt.NDArray[np.bool_]

WATTS_PER_KW = 1000.0
_EPS_W = 1e-6
"""A bound that is missed by less than this holds; in energy that is far below what is checked."""


class Rows(NamedTuple):
    """Batteries, one row each: what they may do and what they were to do.

    Attributes:
        low, high: shape (n, T), least and most power in kW, charging positive.
        gain, drain: shape (n, T), kWh at the store for a kW of charging, of discharging.
        kept: shape (n, T), share of the energy left after an interval.
        inflow: shape (n, T), kWh.
        energy_low, energy_high: shape (n, T+1), band by instant, as far as the plan keeps it.
        power: shape (n, T), the plan's power in kW, charging positive.
        energy: shape (n, T+1), the plan's stored energy.
        node: shape (n,), first group with a limit above, −1 for none.
        is_settled: shape (n,), rows that do not make up for others: they cannot stray freely.
        ramp_up, ramp_down: shape (n, T), largest steps of power into each interval, kW.
        before: shape (n,), power before the first interval, nan for any.
        day: shape (T,), the UTC day of each interval.
        spare: shape (n, D), what a day may move at the store beyond the plan, kWh, inf for any.
        target_start: shape (n+1,), first target of each row.
        target_at: shape (k,), interval of each target.
        target_first, target_last: shape (k,), weights of the energies at the interval's ends.
        target_low, target_high: shape (k,), energy wanted, as far as the plan reaches it.
        weight: shape (n, R), of each row's power in each network row.
    """

    low: Floats
    high: Floats
    gain: Floats
    drain: Floats
    kept: Floats
    inflow: Floats
    energy_low: Floats
    energy_high: Floats
    power: Floats
    energy: Floats
    node: Ints
    is_settled: Flags
    ramp_up: Floats
    ramp_down: Floats
    before: Floats
    day: Ints
    spare: Floats
    target_start: Ints
    target_at: Ints
    target_first: Floats
    target_last: Floats
    target_low: Floats
    target_high: Floats
    weight: Floats


class Nodes(NamedTuple):
    """Groups with limits, and network rows sorted by interval.

    Attributes:
        parent: shape (m,), the next group with a limit above, −1 for none.
        moved: shape (m, T), W by which the net is above the plan's, so far.
        least, most: shape (m, T), W that it may be.
        rise, fall: shape (m, T), W by which the net's step into the interval may grow, either way.
        lean: shape (m, T), W by which batteries run ahead of the plan's power, so that a later
            interval, where the net could not be kept, has room.
        row_start: shape (T+1,), first network row of each interval.
        row_moved, row_least, row_most: shape (R,), the same for network rows.
    """

    parent: Ints
    moved: Floats
    least: Floats
    most: Floats
    rise: Floats
    fall: Floats
    lean: Floats
    row_start: Ints
    row_moved: Floats
    row_least: Floats
    row_most: Floats


@compiled
def _power_to(rise: float, gain: float, drain: float) -> float:
    """Power at which the energy rises by this much, in kW; infinite where none does."""
    if rise >= 0.0:
        return rise / gain if gain > 0.0 else np.inf
    return rise / drain if drain > 0.0 else -np.inf


@compiled
def _rise_by(power: float, gain: float, drain: float) -> float:
    """What a power does to the stored energy, in kWh."""
    return power * gain if power >= 0.0 else power * drain


@compiled
def _viable(rows: Rows, i: int, whole: bool, low: Floats, high: Floats) -> None:
    """Energies from which all that follows can be kept, by instant, backwards from the last.

    Args:
        rows: the batteries.
        i: the row.
        whole: with powers in whole watts at their limits.
        low: filled, shape (T+1,).
        high: filled, shape (T+1,).
    """
    count = rows.low.shape[1]
    low[count], high[count] = rows.energy_low[i, count], rows.energy_high[i, count]
    for t in range(count - 1, -1, -1):
        least, most = rows.low[i, t], rows.high[i, t]
        if whole:
            least = np.ceil(least * WATTS_PER_KW - _EPS_W) / WATTS_PER_KW
            most = np.floor(most * WATTS_PER_KW + _EPS_W) / WATTS_PER_KW
        kept = rows.kept[i, t]
        up = rows.inflow[i, t] + _rise_by(most, rows.gain[i, t], rows.drain[i, t])
        down = rows.inflow[i, t] + _rise_by(least, rows.gain[i, t], rows.drain[i, t])
        if kept > 0.0:
            low[t] = max(rows.energy_low[i, t], (low[t + 1] - up) / kept)
            high[t] = min(rows.energy_high[i, t], (high[t + 1] - down) / kept)
        else:
            low[t], high[t] = rows.energy_low[i, t], rows.energy_high[i, t]
        for k in range(rows.target_start[i], rows.target_start[i + 1]):
            if rows.target_at[k] != t:
                continue
            first, last = rows.target_first[k], rows.target_last[k]
            weight = first + last * kept
            if weight > 0.0:
                low[t] = max(low[t], (rows.target_low[k] - last * up) / weight)
                high[t] = min(high[t], (rows.target_high[k] - last * down) / weight)
            if first > 1e-6:  # the moment lies inside: what the end allows binds too
                low[t] = max(low[t], (rows.target_low[k] - last * high[t + 1]) / first)
                high[t] = min(high[t], (rows.target_high[k] - last * low[t + 1]) / first)


@compiled
def _room_of_nodes(
    nodes: Nodes, node: int, weight: Floats, t: int, power: float, wanted: float
) -> tuple[float, float]:
    """Powers in W between which nets above and network rows are kept, given what others moved."""
    least, most = -np.inf, np.inf
    while node >= 0:
        moved, last = nodes.moved[node, t], nodes.moved.shape[1] - 1
        before = nodes.moved[node, t - 1] if t > 0 else 0.0
        up = min(nodes.most[node, t], before + nodes.rise[node, t])
        down = max(nodes.least[node, t], before - nodes.fall[node, t])
        if t < last:
            after = nodes.moved[node, t + 1]
            up = min(up, after + nodes.fall[node, t + 1])
            down = max(down, after - nodes.rise[node, t + 1])
        most, least = min(most, power + up - moved), max(least, power + down - moved)
        node = nodes.parent[node]
    for row in range(nodes.row_start[t], nodes.row_start[t + 1]):
        if weight[row] == 0.0:
            continue
        up = power + (nodes.row_most[row] - nodes.row_moved[row]) / weight[row]
        down = power + (nodes.row_least[row] - nodes.row_moved[row]) / weight[row]
        most, least = min(most, max(up, down)), max(least, min(up, down))
    # Where both sides cannot be kept, the plan's own power is the middle to look for.
    return (least, most) if least <= most else (wanted, wanted)


@compiled
def _lean_of_nodes(nodes: Nodes, node: int, t: int) -> float:
    lean = 0.0
    while node >= 0:
        lean += nodes.lean[node, t]
        node = nodes.parent[node]
    return lean


@compiled
def _choose(wanted: float, low: float, high: float, room: tuple[float, float], far: float) -> float:
    """The whole number of watts next to `wanted`, up to `far` from it to where nets are kept.

    nan where there is no whole number between `low` and `high`.
    """
    least, most = np.ceil(low - _EPS_W), np.floor(high + _EPS_W)
    if least > most:
        return np.nan
    chosen = np.floor(wanted + 0.5)
    if chosen > room[1] + _EPS_W:
        chosen = max(np.floor(room[1] + _EPS_W), np.floor(wanted) + 1.0 - far)
    if chosen < room[0] - _EPS_W:
        chosen = min(np.ceil(room[0] - _EPS_W), np.ceil(wanted) - 1.0 + far)
    return float(min(max(chosen, least), most))


@compiled
def _move_nodes(nodes: Nodes, node: int, weight: Floats, t: int, watts: float) -> None:
    while node >= 0:
        nodes.moved[node, t] += watts
        node = nodes.parent[node]
    for row in range(nodes.row_start[t], nodes.row_start[t + 1]):
        nodes.row_moved[row] += weight[row] * watts


@compiled
def round_rows(
    rows: Rows,
    nodes: Nodes,
    far: float,
    exact: bool,
    whole: bool,
    powers: Floats,
    stored: Floats,
    left: Ints,
) -> None:
    """Whole watts for every row, one after the other.

    Args:
        rows: the batteries.
        nodes: what a row moved before is taken out, and what it moves now put in.
        far: how many watts a power may lie from the planned one for the sake of a net.
        exact: a net that cannot be kept in whole watts is kept with a fraction of one.
        whole: whether watts are to be whole at all.
        powers: shape (n, T), kW, in: what the rows do now; out: what they do in whole watts.
        stored: shape (n, T+1), filled with the energies that follow.
        left: shape (n,), filled with the numbers of cells that are not in whole watts.
    """
    count = rows.low.shape[1]
    low, high, over = np.empty(count + 1), np.empty(count + 1), np.empty(rows.spare.shape[1])
    for i in range(rows.low.shape[0]):
        node, weight = rows.node[i], rows.weight[i]
        for t in range(count):
            _move_nodes(nodes, node, weight, t, (rows.power[i, t] - powers[i, t]) * WATTS_PER_KW)
        if rows.is_settled[i]:
            left[i] = _settle(rows, i, powers[i], low, high, over)
            for t in range(count):
                watts = (powers[i, t] - rows.power[i, t]) * WATTS_PER_KW
                _move_nodes(nodes, node, weight, t, watts)
        else:
            left[i] = _follow(rows, nodes, i, far, exact, whole, powers[i], low, high)
        stored[i, 0] = rows.energy[i, 0]
        for t in range(count):
            rise = _rise_by(powers[i, t], rows.gain[i, t], rows.drain[i, t])
            stored[i, t + 1] = rows.kept[i, t] * stored[i, t] + rows.inflow[i, t] + rise


@compiled
def _follow(
    rows: Rows,
    nodes: Nodes,
    i: int,
    far: float,
    exact: bool,
    whole: bool,
    powers: Floats,
    low: Floats,
    high: Floats,
) -> int:
    """Follow the plan's energy, with an eye on the nets above; returns cells not in whole watts."""
    energy, left = rows.energy[i, 0], 0
    _viable(rows, i, whole, low, high)
    if not low[0] - 1e-9 <= energy <= high[0] + 1e-9:
        _viable(rows, i, False, low, high)
    for t in range(powers.size):
        gain, drain = rows.gain[i, t], rows.drain[i, t]
        idle = rows.kept[i, t] * energy + rows.inflow[i, t]
        wanted = _power_to(rows.energy[i, t + 1] - idle, gain, drain)
        least, most = _limits(rows, i, t, energy, idle, low[t + 1], high[t + 1])
        if least > most:  # by rounding, or where nothing can be kept: the unit's limits come first
            least = min(max(0.5 * (least + most), rows.low[i, t]), rows.high[i, t])
            most = least
        wanted = min(max(wanted, least), most) * WATTS_PER_KW
        planned = rows.power[i, t] * WATTS_PER_KW
        room = _room_of_nodes(nodes, rows.node[i], rows.weight[i], t, planned, wanted)
        ahead = wanted + _lean_of_nodes(nodes, rows.node[i], t)
        watts = _choose(ahead, least * WATTS_PER_KW, most * WATTS_PER_KW, room, far)
        is_out = not room[0] - _EPS_W <= watts <= room[1] + _EPS_W
        if not whole or np.isnan(watts) or (exact and is_out):
            watts = min(max(wanted, room[0]), room[1])
            watts = min(max(watts, least * WATTS_PER_KW), most * WATTS_PER_KW)
            left += abs(watts - np.floor(watts + 0.5)) > _EPS_W
        powers[t] = watts / WATTS_PER_KW
        energy = idle + _rise_by(powers[t], gain, drain)
        _move_nodes(nodes, rows.node[i], rows.weight[i], t, powers[t] * WATTS_PER_KW - planned)
    return left


@compiled
def _limits(
    rows: Rows, i: int, t: int, energy: float, idle: float, low: float, high: float
) -> tuple[float, float]:
    """Powers in kW that keep the unit's limits, its targets of this interval and what follows."""
    gain, drain = rows.gain[i, t], rows.drain[i, t]
    for k in range(rows.target_start[i], rows.target_start[i + 1]):
        if rows.target_at[k] == t and rows.target_last[k] > 0.0:
            before = rows.target_first[k] * energy
            low = max(low, (rows.target_low[k] - before) / rows.target_last[k])
            high = min(high, (rows.target_high[k] - before) / rows.target_last[k])
    least = max(rows.low[i, t], _power_to(low - idle, gain, drain))
    return least, min(rows.high[i, t], _power_to(high - idle, gain, drain))


@compiled
def _settle(rows: Rows, i: int, powers: Floats, low: Floats, high: Floats, over: Floats) -> int:
    """Follow the plan's energy within ramps and cycle caps; a row that cannot stays as planned.

    What a ramp or a cap leaves for later is not known beforehand, so the row is tried. Returns the
    cells that are not in whole watts.
    """
    energy, before = rows.energy[i, 0], rows.before[i]
    _viable(rows, i, True, low, high)
    over[:] = 0.0
    nowhere = (-np.inf, np.inf)
    for t in range(powers.size):
        gain, drain, day = rows.gain[i, t], rows.drain[i, t], rows.day[t]
        idle = rows.kept[i, t] * energy + rows.inflow[i, t]
        least, most = _limits(rows, i, t, energy, idle, low[t + 1], high[t + 1])
        if not np.isnan(before):
            least = max(least, before - rows.ramp_down[i, t])
            most = min(most, before + rows.ramp_up[i, t])
        planned = abs(_rise_by(rows.power[i, t], gain, drain))
        room = rows.spare[i, day] - over[day] + planned
        if gain > 0.0:
            most = min(most, room / gain)
        if drain > 0.0:
            least = max(least, -room / drain)
        wanted = _power_to(rows.energy[i, t + 1] - idle, gain, drain) * WATTS_PER_KW
        watts = _choose(wanted, least * WATTS_PER_KW, most * WATTS_PER_KW, nowhere, 1.0)
        if np.isnan(watts):
            return _stay(rows, i, powers)
        powers[t] = watts / WATTS_PER_KW
        rise = _rise_by(powers[t], gain, drain)
        over[day] += abs(rise) - planned
        energy, before = idle + rise, powers[t]
    return 0


@compiled
def _stay(rows: Rows, i: int, powers: Floats) -> int:
    """The row as planned; returns its cells that are not in whole watts."""
    left = 0
    for t in range(powers.size):
        powers[t] = rows.power[i, t]
        watts = powers[t] * WATTS_PER_KW
        if abs(watts - np.floor(watts + 0.5)) <= _EPS_W:
            powers[t] = np.floor(watts + 0.5) / WATTS_PER_KW
        else:
            left += 1
    return left


@compiled
def round_output(
    node: Ints,
    weight: Floats,
    least: Floats,
    most: Floats,
    nodes: Nodes,
    planned: Floats,
    output: Floats,
) -> None:
    """Whole watts for curtailed generators, next to the plan's and so that nets keep their limits.

    What is not curtailed, or cannot be, is the weather's and stays as it is.

    Args:
        node: shape (n,), first group with a limit above.
        weight: shape (n, R), of each one's net power in each network row.
        least: shape (n, T), kW that cannot be curtailed.
        most: shape (n, T), kW available.
        nodes: as for `round_rows`.
        planned: shape (n, T), the plan's output.
        output: shape (n, T), filled.
    """
    for i in range(planned.shape[0]):
        for t in range(planned.shape[1]):
            output[i, t] = planned[i, t]
            if not least[i, t] + 1e-9 < planned[i, t] < most[i, t] - 1e-9:
                continue
            power = -planned[i, t] * WATTS_PER_KW
            room = _room_of_nodes(nodes, node[i], weight[i], t, power, power)
            low, high = -most[i, t] * WATTS_PER_KW, -least[i, t] * WATTS_PER_KW
            watts = _choose(power, low, high, room, 1.0)
            if not np.isnan(watts):
                output[i, t] = -watts / WATTS_PER_KW
                _move_nodes(nodes, node[i], weight[i], t, watts - power)
