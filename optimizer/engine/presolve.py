"""From a problem in normal form to pieces of work for the interior-point loop.

Equal bounds are fixed, energies are cut to what can be reached, rows that cannot bind are left out,
and what may be broken has its priced boxes. A curtailable generator is a battery that discharges
without taking energy.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from optimizer.engine import slopes
from optimizer.engine.batteries import ENERGY, Blocks, Cells
from optimizer.engine.boxes import Box, Runs, flat, make_box, start_box
from optimizer.engine.loop import Work
from optimizer.engine.nodes import Nodes
from optimizer.engine.tree import LEAST, Tree, make_tree
from optimizer.problem import NO_GROUP
from optimizer.reach import band_yields

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from optimizer.problem import DispatchProblem

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]
    Flags = npt.NDArray[np.bool_]

BLOCK_ROWS = 32
"""Batteries of a block; those under no row at all form a part of their own for each block."""
WORK_ROWS = 1024
"""Batteries from which a piece of work is closed: its state stays in the processor's cache."""
_ENERGY_WIDTH_LEAST = 2e-7


@dataclass(frozen=True, eq=False)
class Fleet:
    """What all pieces of work share.

    Attributes:
        problem: what is asked.
        tree: groups with rows.
        yields: batteries whose band may be left at a price, shape (N,).
        special: cells whose energy has several slopes, sorted, shape (q, 2).
        price: largest price of energy, the start of every multiplier.
    """

    problem: DispatchProblem
    tree: Tree
    yields: Flags
    special: npt.NDArray[np.intp]
    price: float


@dataclass(frozen=True, eq=False)
class _Units:
    """Columns of some batteries and generators, shapes (n, T); costs per kW and interval."""

    gain: Floats
    drain: Floats
    kept: Floats
    inflow: Floats
    charge_max: Floats
    discharge_min: Floats
    discharge_max: Floats
    charge_cost: Floats
    discharge_cost: Floats
    energy_low: Floats
    energy_high: Floats
    energy_cost: Floats


def make_fleet(problem: DispatchProblem) -> Fleet:
    """What is decided once for the whole problem."""
    yields = band_yields(problem)
    b, groups = problem.batteries, problem.groups
    sites = groups.is_site
    prices = [problem.price_import_per_kwh, problem.price_export_per_kwh]
    prices += [groups.price_import_per_kwh[sites], groups.price_export_per_kwh[sites]]
    prices += [b.wear_cost_charge_per_kwh, b.wear_cost_discharge_per_kwh, b.end_value_per_kwh]
    largest = max(float(np.abs(column).max(initial=0.0)) for column in prices)
    special = slopes.special_cells(problem, yields)
    return Fleet(problem, make_tree(problem), yields, special, largest if largest > 0 else 1.0)


def plan_work(fleet: Fleet) -> list[Callable[[], Work]]:
    """Independent pieces, each made when it is called for: memory holds few at a time."""
    tree = fleet.tree
    node = tree.unit_node
    root = np.where(node >= 0, tree.root[node] if len(tree.root) else -1, len(tree.group))
    order = np.lexsort((np.arange(len(node)), node, root))
    coupled = order[root[order] < len(tree.group)]
    free = order[len(coupled) :]
    roots, counts = np.unique(root[coupled], return_counts=True)
    plans: list[Callable[[], Work]] = []
    first = 0
    while first < len(roots):
        closed = np.searchsorted(np.cumsum(counts[first:]), WORK_ROWS) + 1
        mine = roots[first : first + closed]
        rows = coupled[np.isin(root[coupled], mine)]
        nodes = np.flatnonzero(np.isin(tree.root, mine))
        plans.append(partial(_make_work, fleet, rows, nodes))
        first += int(closed)
    for start in range(0, len(free), WORK_ROWS):
        none = np.zeros(0, dtype=np.int64)
        plans.append(partial(_make_work, fleet, free[start : start + WORK_ROWS], none))
    return plans


def _make_work(fleet: Fleet, rows: Ints, nodes: Ints) -> Work:
    """Batteries `rows` and the groups `nodes` of the tree, started."""
    tree, intervals = fleet.tree, len(fleet.problem.grid)
    place = np.full(len(tree.group) + 1, len(nodes))
    place[nodes] = np.arange(len(nodes))
    node = place[np.where(tree.unit_node[rows] >= 0, tree.unit_node[rows], len(tree.group))]
    order = np.argsort(node, kind="stable")
    rows, node = rows[order], node[order]
    roots, part = np.unique(tree.root[nodes], return_inverse=True)
    blocks = _make_blocks(node, np.append(tree.coupled[nodes], False), part, len(roots), intervals)
    parts = int(max(blocks.part.max(initial=-1), part.max(initial=-1))) + 1
    units = _units_of(fleet, rows)
    groups, net_box = _make_nodes(fleet, nodes, place, part, blocks)
    cells, box, pieces = _make_cells(fleet, rows, units, groups.total[node])
    boxes = _runs((box, pieces, net_box), cells, blocks, groups)
    bounds = np.zeros(parts)
    for one, runs in boxes:
        for run, here in enumerate(runs.part):
            bounds[here] += 2.0 * one.free[runs.start[run] : runs.stop[run]].sum()
    money = _money(fleet, units)
    scale = np.zeros(parts)
    for block, here in enumerate(blocks.part):
        scale[here] += money[blocks.start[block] : blocks.stop[block]].sum()
    height = tree.height[nodes]
    levels = tuple(np.flatnonzero(height == level) for level in range(height.max(initial=-1) + 1))
    return Work(
        cells,
        blocks,
        groups,
        box,
        pieces,
        net_box,
        levels,
        boxes,
        parts,
        bounds,
        scale,
        rows,
        nodes,
    )


def _make_blocks(node: Ints, coupled: Flags, part: Ints, parts: int, intervals: int) -> Blocks:
    """Runs of at most `BLOCK_ROWS` rows of one node; rows under no node are parts of their own."""
    starts: list[int] = []
    edges = np.flatnonzero(np.diff(node, prepend=-1, append=-2))
    for first, last in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        starts += range(first, last, BLOCK_ROWS)
    start = np.array(starts, dtype=np.int64)
    stop = np.append(start[1:], len(node)).astype(np.int64)
    holder = node[start]
    loose = holder == len(part)
    owner = np.append(part, 0)[holder]
    owner[loose] = parts + np.arange(int(loose.sum()))
    count = len(start)
    return Blocks(
        start=start,
        stop=stop,
        node=holder,
        part=owner,
        coupled=coupled[holder],
        response=np.zeros((count, intervals, intervals)),
        flow=np.zeros((count, intervals)),
        net=np.zeros((count, intervals)),
        missed=np.zeros(count),
    )


def _units_of(fleet: Fleet, rows: Ints) -> _Units:
    problem, count = fleet.problem, len(fleet.problem.batteries)
    battery, generator = rows[rows < count], rows[rows >= count] - count
    if not len(generator):
        return _battery_units(fleet, battery)
    tables = (_battery_units(fleet, battery), _generator_units(problem, generator))
    # Rows are in any order; both tables are put where their rows stand.
    back = np.argsort(np.concatenate([np.flatnonzero(rows < count), np.flatnonzero(rows >= count)]))
    columns = {
        name: np.concatenate([getattr(table, name) for table in tables])[back]
        for name in vars(tables[0])
    }
    return _Units(**columns)


def _battery_units(fleet: Fleet, rows: Ints) -> _Units:
    problem, b, step_h = fleet.problem, fleet.problem.batteries, fleet.problem.grid.step_h
    buy, sell = _unit_prices(problem, problem.battery_site[rows])
    gain, drain = b.efficiency_charge[rows] * step_h, step_h / b.efficiency_discharge[rows]
    kept, inflow = problem.energy_after_loss[rows], b.inflow_kw[rows] * step_h
    inflow[:, 0] += kept[:, 0] * b.energy_kwh_initial[rows]
    charge, discharge = b.p_charge_kw_max[rows], b.p_discharge_kw_max[rows]
    low, high = _reachable(fleet, rows, kept, inflow - drain * discharge, inflow + gain * charge)
    energy_cost = np.zeros_like(gain)
    linear = slopes.has_linear_end(problem)[rows]
    first = (b.end_value_kwh[rows] > 0).argmax(axis=1)
    worth = b.end_value_per_kwh[rows, first] * (b.end_value_kwh[rows] > 0).any(axis=1)
    energy_cost[:, -1] = np.where(linear, -worth, 0.0)
    return _Units(
        gain=gain,
        drain=drain,
        kept=kept,
        inflow=inflow,
        charge_max=charge,
        discharge_min=np.zeros_like(discharge),
        discharge_max=discharge,
        charge_cost=(buy + b.wear_cost_charge_per_kwh[rows, None]) * step_h,
        discharge_cost=(b.wear_cost_discharge_per_kwh[rows, None] - sell) * step_h,
        energy_low=low,
        energy_high=high,
        energy_cost=energy_cost,
    )


def _generator_units(problem: DispatchProblem, rows: Ints) -> _Units:
    """Generators as batteries whose discharge takes nothing; their energy is a dummy around 0."""
    table, step_h = problem.generators, problem.grid.step_h
    _, sell = _unit_prices(problem, problem.generator_site[rows])
    least, most = table.p_kw_min[rows], table.p_kw_available[rows]
    none, one = np.zeros_like(least), np.ones_like(least)
    return _Units(
        gain=none, drain=none, kept=none, inflow=none, charge_max=none,
        discharge_min=least, discharge_max=most, charge_cost=none,
        discharge_cost=(table.cost_per_kwh[rows, None] - sell) * step_h,
        energy_low=-one, energy_high=one, energy_cost=none,
    )  # fmt: skip


def _unit_prices(problem: DispatchProblem, site: Ints) -> tuple[Floats, Floats]:
    """What a unit pays and earns itself: nothing at a meter with two prices, whose row has them."""
    groups = problem.groups
    shape = (len(site), len(problem.grid))
    buy = np.broadcast_to(problem.price_import_per_kwh, shape)
    sell = np.broadcast_to(problem.price_export_per_kwh, shape)
    inside = (site != NO_GROUP)[:, None]
    if not inside.any():
        return buy, sell
    two = slopes.has_two_prices(problem)[site][:, None]
    meter = np.where(two, 0.0, groups.price_import_per_kwh[site])
    return np.where(inside, meter, buy), np.where(inside, meter, sell)


def _reachable(
    fleet: Fleet, rows: Ints, kept: Floats, drain: Floats, gain: Floats
) -> tuple[Floats, Floats]:
    """Energies at the instants 1 to T that powers lead to, cut to each band that is kept."""
    b, yields = fleet.problem.batteries, fleet.yields[rows, None]
    band_low = np.where(yields, -np.inf, b.energy_kwh_min[rows, 1:])
    band_high = np.where(yields, np.inf, b.energy_kwh_max[rows, 1:])
    low, high = np.empty_like(gain), np.empty_like(gain)
    at_low = at_high = np.zeros(len(rows))
    for t in range(gain.shape[1]):
        at_low = np.maximum(kept[:, t] * at_low + drain[:, t], band_low[:, t])
        at_high = np.minimum(kept[:, t] * at_high + gain[:, t], band_high[:, t])
        at_low, at_high = np.minimum(at_low, at_high), np.maximum(at_low, at_high)
        low[:, t], high[:, t] = at_low, at_high
    # An energy is never fixed: its 1/θ keeps the tridiagonal system regular.
    room = np.maximum(0.5 * (_ENERGY_WIDTH_LEAST - (high - low)), 0.0)
    return low - room, high + room


def _make_cells(fleet: Fleet, rows: Ints, units: _Units, price: Floats) -> tuple[Cells, Box, Box]:
    shape = (len(rows), 3, units.gain.shape[1])
    low, high, cost = np.zeros(shape), np.empty(shape), np.empty(shape)
    low[:, 1], low[:, ENERGY] = units.discharge_min, units.energy_low
    high[:, 0], high[:, 1], high[:, ENERGY] = (
        units.charge_max, units.discharge_max, units.energy_high,
    )  # fmt: skip
    cost[:, 0], cost[:, 1], cost[:, ENERGY] = (
        units.charge_cost, units.discharge_cost, units.energy_cost,
    )  # fmt: skip
    pieces, piece_at, piece_start = _make_pieces(fleet, rows, low, high, cost)
    box = make_box(low, high, cost, LEAST)
    step_h = fleet.problem.grid.step_h
    value = np.repeat((units.charge_cost / step_h).mean(axis=1)[:, None], shape[2], axis=1)
    worth = value.copy()
    worth[:, :-1] -= units.kept[:, 1:] * value[:, 1:]
    reduced = cost.copy()
    reduced[:, 0] += price - units.gain * value
    reduced[:, 1] += units.drain * value - price
    reduced[:, 2] += worth
    base = np.empty(shape)
    base[:, :2], base[:, 2] = fleet.price * step_h, fleet.price
    start_box(box, reduced, base)
    owner = np.repeat(np.arange(len(rows)), np.diff(piece_start))
    start_box(pieces, pieces.cost + worth[owner, piece_at], fleet.price)
    empty = {
        name: np.zeros_like(value) for name in ("value_step", "miss", "spread", "ratio", "pivot")
    }
    cells = Cells(
        gain=units.gain, drain=units.drain, kept=units.kept, inflow=units.inflow,
        value=value, piece_at=piece_at, piece_start=piece_start, **empty,
    )  # fmt: skip
    return cells, box, pieces


def _make_pieces(
    fleet: Fleet, rows: Ints, low: Floats, high: Floats, cost: Floats
) -> tuple[Box, Ints, Ints]:
    """Further parts of energies with several slopes; the first part stays in the cells' boxes."""
    place = np.full(fleet.problem.shape[0], -1)
    mine = rows < fleet.problem.shape[0]
    place[rows[mine]] = np.flatnonzero(mine)
    cells = fleet.special[place[fleet.special[:, 0]] >= 0]
    cells = cells[np.argsort(place[cells[:, 0]], kind="stable")]
    at, t = place[cells[:, 0]], cells[:, 1]
    edges, slope = slopes.energy_edges(
        fleet.problem, fleet.yields, cells, low[at, ENERGY, t], high[at, ENERGY, t]
    )
    width = np.diff(edges, axis=1)
    first = np.argmax(width > LEAST, axis=1)
    pick = np.arange(len(cells))
    base_cost = cost[at, ENERGY, t]
    high[at, ENERGY, t] = edges[pick, first + 1]
    cost[at, ENERGY, t] = base_cost + slope[pick, first]
    more = (width > LEAST) & (np.arange(width.shape[1]) > first[:, None])
    cell, piece = np.nonzero(more)
    none = np.zeros(len(cell))
    box = make_box(none, width[cell, piece], base_cost[cell] + slope[cell, piece], 0.0)
    start = np.searchsorted(at[cell], np.arange(len(rows) + 1))
    return box, t[cell].astype(np.int64), start.astype(np.int64)


def _make_nodes(
    fleet: Fleet, nodes: Ints, place: Ints, part: Ints, blocks: Blocks
) -> tuple[Nodes, Box]:
    tree, intervals = fleet.tree, len(fleet.problem.grid)
    count = len(nodes)
    edges, slope, is_row = tree.edges[nodes], tree.slope[nodes], tree.is_row[nodes]
    width = np.diff(edges, axis=1)
    wide = (width > LEAST) & is_row[:, None, :]
    low = np.zeros_like(width)
    low[:, 0] = edges[:, 0]
    high = low + np.where(wide, width, 0.0)
    # A first piece without width keeps its edge as a fixed part of the sum.
    box = make_box(low, high, slope, LEAST)
    price = tree.price[nodes].copy()
    start_box(box, slope - price[:, None], fleet.price * fleet.problem.grid.step_h)
    above = tree.parent[nodes]
    parent = np.where(above >= 0, place[above], -1)
    total = np.zeros((count + 1, intervals))
    for node in range(count - 1, -1, -1):
        total[node] = price[node] + (total[parent[node]] if parent[node] >= 0 else 0.0)
    child = np.argsort(parent, kind="stable")
    child = child[parent[child] >= 0]
    square = (count, intervals, intervals)
    made = Nodes(
        is_row=is_row,
        fixed=tree.fixed[nodes],
        parent=parent.astype(np.int64),
        part=part.astype(np.int64),
        child_start=np.searchsorted(parent[child], np.arange(count + 1)).astype(np.int64),
        child=child.astype(np.int64),
        block_start=np.searchsorted(blocks.node, np.arange(count + 1)).astype(np.int64),
        price=price,
        price_step=np.zeros((count, intervals)),
        total=total,
        total_step=np.zeros((count + 1, intervals)),
        inner=np.zeros(square),
        system=np.zeros(square),
        passed=np.zeros(square),
        wanted=np.zeros((count, intervals)),
        flow=np.zeros((count, intervals)),
        net=np.zeros((count, intervals)),
        missed=np.zeros(count),
        mended=np.zeros(count, dtype=np.int64),
    )
    return made, box


def _runs(
    boxes: tuple[Box, Box, Box], cells: Cells, blocks: Blocks, nodes: Nodes
) -> tuple[tuple[Box, Runs], ...]:
    """Every box, flat, with the range of each block or node."""
    box, pieces, net_box = boxes
    each, size = box.low[:1].size, net_box.low[:1].size
    at, start = np.arange(len(nodes.part)), cells.piece_start
    pairs = (
        (flat(box), Runs(blocks.start * each, blocks.stop * each, blocks.part)),
        (pieces, Runs(start[blocks.start], start[blocks.stop], blocks.part)),
        (flat(net_box), Runs(at * size, (at + 1) * size, nodes.part)),
    )
    return tuple((one, runs) for one, runs in pairs if one.low.size)


def _money(fleet: Fleet, units: _Units) -> Floats:
    """What a unit may earn, roughly: one cycle at the largest difference of prices, shape (n,)."""
    price = units.charge_cost - units.discharge_cost
    price = price / (2.0 * fleet.problem.grid.step_h)
    spread = np.maximum(np.ptp(price, axis=1), 0.05 * fleet.price)
    room = (units.energy_high - units.energy_low).max(axis=1)
    return np.asarray(np.maximum(spread * room, 1e-9))
