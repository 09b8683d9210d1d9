"""The further rows of single batteries: which can bind, and where they stand.

A ramp is one row for both directions: the change of power is a sum of boxes, one that is allowed
and one beyond it on either side, at the firm price.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from optimizer.engine.batteries import CHARGE, DISCHARGE, ENERGY
from optimizer.engine.boxes import LEAST
from optimizer.engine.linked import BALANCE, CYCLES, RAMP, TARGET, Links
from optimizer.engine.presolve.pieces import Pieces
from optimizer.engine.slopes import edges_within

if TYPE_CHECKING:
    import numpy.typing as npt

    from optimizer.engine.presolve.fleet import Fleet
    from optimizer.engine.presolve.units import Units
    from optimizer.problem import DispatchProblem

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]
    Flags = npt.NDArray[np.bool_]


def find_linked(problem: DispatchProblem) -> Flags:
    """Batteries with a row beside their balances that can bind, shape (N,)."""
    b, targets = problem.batteries, problem.targets
    found = np.zeros(len(b), dtype=bool)
    ramped = np.flatnonzero(has_ramp(problem, np.arange(len(b))))
    found[ramped] = _ramp_binds(problem, ramped).any(axis=1)
    capped = np.flatnonzero(np.isfinite(b.cycles_per_day_max))
    found[capped] |= _cap_binds(problem, capped).any(axis=1)
    found[targets.battery[targets.share < 1.0]] = True
    return found


def has_ramp(problem: DispatchProblem, rows: Ints) -> Flags:
    """Whether some batteries have a ramp, shape (rows,)."""
    b = problem.batteries
    return np.isfinite(b.ramp_up_kw_per_h[rows]) | np.isfinite(b.ramp_down_kw_per_h[rows])


def never_moves(problem: DispatchProblem, rows: Ints) -> Flags:
    """Whether the cap on throughput of some batteries is 0, shape (rows,)."""
    capped = np.isfinite(problem.batteries.cycles_per_day_max[rows])
    never = np.zeros(len(rows), dtype=bool)
    never[capped] = _cap_kwh(problem, rows[capped]) <= LEAST
    return never


def _cap_kwh(problem: DispatchProblem, rows: Ints) -> Floats:
    b = problem.batteries
    rated = b.energy_kwh_max[rows].max(axis=1)
    return np.asarray(2.0 * rated * b.cycles_per_day_max[rows])


def _cap_binds(problem: DispatchProblem, rows: Ints) -> Flags:
    """Days on which more than the cap could be moved, shape (rows, D)."""
    b, step_h = problem.batteries, problem.grid.step_h
    charge = b.efficiency_charge[rows] * b.p_charge_kw_max[rows]
    discharge = b.p_discharge_kw_max[rows] / b.efficiency_discharge[rows]
    by_day = np.zeros((len(rows), int(problem.days[-1]) + 1))
    np.add.at(by_day.T, problem.days, ((charge + discharge) * step_h).T)
    moves = ~never_moves(problem, rows)[:, None]
    return np.asarray((by_day > _cap_kwh(problem, rows)[:, None] + LEAST) & moves)


def _ramp_reach(problem: DispatchProblem, rows: Ints) -> tuple[Floats, Floats]:
    """Least and largest change of power that limits of power allow, shapes (rows, T)."""
    b = problem.batteries
    charge, discharge = b.p_charge_kw_max[rows], b.p_discharge_kw_max[rows]
    before = np.nan_to_num(b.p_kw_initial[rows])[:, None]
    most = np.concatenate([before, charge[:, :-1]], axis=1)
    least = np.concatenate([before, -discharge[:, :-1]], axis=1)
    return -discharge - most, charge - least


def ramp_allowed(problem: DispatchProblem, rows: Ints) -> tuple[Floats, Floats]:
    """Changes of power within the ramp, shapes (rows, T); without bound where none is known."""
    b, step_h = problem.batteries, problem.grid.step_h
    hours = (np.concatenate([step_h[:1], step_h[:-1]]) + step_h) / 2
    down, up = -b.ramp_down_kw_per_h[rows, None] * hours, b.ramp_up_kw_per_h[rows, None] * hours
    free = np.isnan(b.p_kw_initial[rows])
    down[free, 0], up[free, 0] = -np.inf, np.inf
    return down, up


def _ramp_binds(problem: DispatchProblem, rows: Ints) -> Flags:
    low, high = _ramp_reach(problem, rows)
    down, up = ramp_allowed(problem, rows)
    return np.asarray((high > up + LEAST) | (low < down - LEAST))


@dataclass(frozen=True, eq=False)
class _Own:
    """Pieces of the rows' own variables, shapes (p,): row, width, slope, price to start from."""

    of: Ints
    width: Floats
    slope: Floats
    base: Floats


@dataclass(frozen=True, eq=False)
class _Rows:
    """Rows of one kind: k of them with e entries.

    Attributes:
        kind: one of `linked.BALANCE` and so on.
        owner: shape (k,), place of the battery among the linked ones.
        last: shape (k,), the interval after which nothing of the row is touched.
        item: shape (k,), interval, day or target.
        right: shape (k,), right-hand side.
        of: shape (e,), row of each entry.
        column: shape (e,), variable.
        value: shape (e,).
        own: pieces of the rows' own variables.
    """

    kind: int
    owner: Ints
    last: Ints
    item: Ints
    right: Floats
    of: Ints
    column: Ints
    value: Floats
    own: _Own


def make_links(fleet: Fleet, rows: Ints, units: Units) -> tuple[Links, Pieces]:
    """Rows of all linked batteries among the cells, and the pieces of the rows' own variables.

    Args:
        fleet: what is shared.
        rows: the fleet's rows (batteries, then generators) of the cells.
        units: coefficients and bounds of the cells.
    """
    mine = np.append(fleet.linked, np.zeros(len(fleet.problem.generators), dtype=bool))[rows]
    cell = np.flatnonzero(mine)
    tables = [
        _balances(units, cell),
        _targets(fleet, rows, units, cell),
        _ramps(fleet, rows[cell]),
        _cycles(fleet, rows[cell], units, cell),
    ]
    place = np.full(len(rows), -1)
    place[cell] = np.arange(len(cell))
    return _assemble(tables, place, cell, units.gain.shape[1])


def _balances(units: Units, cell: Ints) -> _Rows:
    """s_t − λ s_{t−1} − a c + b d = inflow."""
    count, intervals = len(cell), units.gain.shape[1]
    owner, t = (axis.ravel() for axis in np.indices((count, intervals)))
    row = np.arange(count * intervals)
    later = np.flatnonzero(t > 0)
    none = np.zeros(0)
    return _Rows(
        kind=BALANCE,
        owner=owner,
        last=t,
        item=t,
        right=units.inflow[cell].ravel(),
        of=np.concatenate([row, row, row, later]),
        column=np.concatenate(
            [axis * intervals + t for axis in (CHARGE, DISCHARGE, ENERGY)]
            + [ENERGY * intervals + t[later] - 1]
        ),
        value=np.concatenate(
            [
                -units.gain[cell].ravel(),
                units.drain[cell].ravel(),
                np.ones(len(row)),
                -units.kept[cell].ravel()[later],
            ]
        ),
        own=_Own(none.astype(np.int64), none, none, none),
    )


def _ramps(fleet: Fleet, rows: Ints) -> _Rows:
    """p_t − p_{t−1} − v = 0; the power before the first interval is known or there is no row."""
    problem, intervals = fleet.problem, len(fleet.problem.grid)
    owner, t = np.nonzero(_ramp_binds(problem, rows))
    low, high = (side[owner, t] for side in _ramp_reach(problem, rows))
    down, up = (side[owner, t] for side in ramp_allowed(problem, rows))
    step_h = problem.grid.step_h[t]
    edges = _edges(np.stack([down, up], axis=1), low, high)
    middle = 0.5 * (edges[:, 1:] + edges[:, :-1])
    beyond = (middle > up[:, None]).astype(float) - (middle < down[:, None])
    slope = problem.firm_price_per_kwh * step_h[:, None] * beyond
    before = np.where(t == 0, problem.batteries.p_kw_initial[rows][owner], 0.0)
    row, later = np.arange(len(t)), np.flatnonzero(t > 0)
    ones = np.ones(len(t))
    return _Rows(
        RAMP, owner, t, t, edges[:, 0] + before,
        of=np.concatenate([row, row, later, later]),
        column=np.concatenate([t, intervals + t, t[later] - 1, intervals + t[later] - 1]),
        value=np.concatenate([ones, -ones, -ones[later], ones[later]]),
        own=_own_pieces(edges, slope, fleet.price * step_h),
    )  # fmt: skip


def _cycles(fleet: Fleet, rows: Ints, units: Units, cell: Ints) -> _Rows:
    """Σ (a c + b d) of a day − v = 0 with v between 0 and the cap."""
    problem, intervals = fleet.problem, len(fleet.problem.grid)
    owner, day = np.nonzero(_cap_binds(problem, rows))
    row, t = np.nonzero(problem.days == day[:, None])
    last = np.zeros(len(day), dtype=np.int64)
    np.maximum.at(last, row, t)
    cap = _cap_kwh(problem, rows)[owner]
    edges = np.stack([np.zeros_like(cap), cap], axis=1)
    at = cell[owner[row]]
    return _Rows(
        CYCLES, owner, last, day, np.zeros(len(day)),
        of=np.concatenate([row, row]),
        column=np.concatenate([t, intervals + t]),
        value=np.concatenate([units.gain[at, t], units.drain[at, t]]),
        own=_own_pieces(edges, np.zeros((len(cap), 1)), np.full(len(cap), fleet.price)),
    )  # fmt: skip


def _targets(fleet: Fleet, rows: Ints, units: Units, cell: Ints) -> _Rows:
    """(λ^σ − σ λ) s_{t−1} + σ s_t − v = 0 at the share σ of an interval."""
    problem, targets = fleet.problem, fleet.problem.targets
    intervals = len(problem.grid)
    item = fleet.targets_of(rows[cell])
    item = item[targets.share[item] < 1.0]
    battery, t, share = targets.battery[item], targets.interval[item], targets.share[item]
    by_row = np.argsort(rows[cell])
    owner = by_row[np.searchsorted(rows[cell], battery, sorter=by_row)]
    kept = problem.energy_after_loss[battery, t]
    weight = kept**share - share * kept
    at, before = cell[owner], np.maximum(t - 1, 0)
    known = np.where(t == 0, weight * problem.batteries.energy_kwh_initial[battery], 0.0)
    moving = np.where(t == 0, 0.0, weight)
    low = known + moving * units.energy_low[at, before] + share * units.energy_low[at, t]
    high = known + moving * units.energy_high[at, before] + share * units.energy_high[at, t]
    wanted = np.stack([targets.energy_kwh_min[item], targets.energy_kwh_max[item]], axis=1)
    edges = _edges(wanted, low, high)
    middle = 0.5 * (edges[:, 1:] + edges[:, :-1])
    firm = problem.firm_price_per_kwh
    price = np.where(targets.is_firm, firm, targets.breach_price_per_kwh)[item, None]
    slope = price * ((middle > wanted[:, 1:]).astype(float) - (middle < wanted[:, :1]))
    row, later = np.arange(len(item)), np.flatnonzero(t > 0)
    return _Rows(
        TARGET, owner, t, item, edges[:, 0] - known,
        of=np.concatenate([row, later]),
        column=ENERGY * intervals + np.concatenate([t, t[later] - 1]),
        value=np.concatenate([share, weight[later]]),
        own=_own_pieces(edges, slope, np.full(len(item), fleet.price)),
    )  # fmt: skip


def _edges(breaks: Floats, low: Floats, high: Floats) -> Floats:
    """Edges of the pieces; the outermost stand clear of what can be reached and carry no price."""
    clear = 0.05 * (high - low) + 1.0
    return edges_within(breaks, low - clear, high + clear)


def _own_pieces(edges: Floats, slope: Floats, base: Floats) -> _Own:
    width = np.diff(edges, axis=1)
    row, piece = np.nonzero(width > LEAST)
    return _Own(row, width[row, piece], slope[row, piece], base[row])


def _assemble(tables: list[_Rows], place: Ints, cell: Ints, intervals: int) -> tuple[Links, Pieces]:
    """Rows in order of battery, interval and kind; entries by variable; each row's envelope."""
    columns = 3 * intervals
    owner = np.concatenate([one.owner for one in tables])
    last = np.concatenate([one.last for one in tables])
    kind = np.concatenate([np.full(len(one.owner), one.kind) for one in tables])
    order = np.lexsort((kind, last, owner))
    row_start = np.searchsorted(owner[order], np.arange(len(cell) + 1))
    # Where each row of the tables stands, and its place within its battery.
    at = np.empty(len(order), dtype=np.int64)
    at[order] = np.arange(len(order))
    within = at - row_start[owner]
    base = np.concatenate([[0], np.cumsum([len(one.owner) for one in tables])])
    of = np.concatenate([one.of + first for one, first in zip(tables, base[:-1], strict=True)])
    name = owner[of] * columns + np.concatenate([one.column for one in tables])
    by_column = np.lexsort((within[of], name))
    of, name = of[by_column], name[by_column]
    column_start = np.searchsorted(name, np.arange(len(cell) * columns + 1))
    # A row reaches back to the first row that shares a variable with it.
    reach = within[order].copy()
    np.minimum.at(reach, at[of], within[of[column_start[name]]])
    offset = np.concatenate([[0], np.cumsum(within[order] - reach + 1)]).astype(np.int64)
    count = len(order)
    links = Links(
        place=place.astype(np.int64),
        row_start=row_start.astype(np.int64),
        kind=kind[order],
        item=np.concatenate([one.item for one in tables])[order],
        right=np.concatenate([one.right for one in tables])[order],
        reach=reach,
        offset=offset,
        factor=np.zeros(offset[-1]),
        column_start=column_start.astype(np.int64),
        entry_row=within[of],
        entry_value=np.concatenate([one.value for one in tables])[by_column],
        price=np.zeros(count),
        price_step=np.zeros(count),
        miss=np.zeros(count),
        mended=np.zeros(len(cell), dtype=np.int64),
    )
    piece_of = np.concatenate(
        [one.own.of + first for one, first in zip(tables, base[:-1], strict=True)]
    )
    return links, Pieces(
        owner=cell[owner[piece_of]],
        at=columns + within[piece_of],
        width=np.concatenate([one.own.width for one in tables]),
        cost=np.concatenate([one.own.slope for one in tables]),
        base=np.concatenate([one.own.base for one in tables]),
    )
