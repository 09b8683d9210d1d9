"""Network rows at the edge of a part of a problem: those inside it, and those that cross it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from optimizer.problem import NO_GROUP
from optimizer.tables.network import NetworkRows

if TYPE_CHECKING:
    import numpy.typing as npt

    from optimizer.excerpt import Kept
    from optimizer.problem import DispatchProblem

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]
    Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class EdgeRows:
    """Rows that sum anything of a part, with only those entries.

    Attributes:
        table: the rows, with the part's own numbers.
        rows: shape (R',), which rows of the whole they are.
        is_inner: shape (R',), rows all of whose entries lie in the part.
    """

    table: NetworkRows
    rows: Ints
    is_inner: Flags

    def take(self, chosen: Flags) -> EdgeRows:
        """Some of the rows."""
        table, pick = self.table, np.flatnonzero(chosen)
        entries = np.flatnonzero(chosen[table.entry_row])
        return EdgeRows(_table(table, pick, entries), self.rows[pick], self.is_inner[pick])


def edge_rows(problem: DispatchProblem, kept: Kept, *, whole: bool) -> EdgeRows:
    """The rows that sum anything that is kept.

    Args:
        problem: the whole.
        kept: its part.
        whole: whether the part's own total stands for that of the problem.
    """
    table = problem.network
    held = np.concatenate([kept.batteries, kept.generators])
    groups = np.append(kept.groups, whole)  # NO_GROUP is −1, the last place
    is_unit = table.entry_unit >= 0
    mine = np.where(is_unit, held[table.entry_unit], groups[table.entry_group])
    count = np.bincount(table.entry_row[mine], minlength=len(table))
    rows, entries = np.flatnonzero(count), np.flatnonzero(mine)
    part = _table(table, rows, entries)
    unit_place = np.concatenate(
        [np.cumsum(kept.batteries) - 1, np.cumsum(kept.generators) - 1 + kept.batteries.sum()]
    )
    group_place = np.append(np.cumsum(kept.groups) - 1, NO_GROUP)
    unit = np.where(part.entry_unit >= 0, unit_place[part.entry_unit], -1)
    part = replace(part, entry_unit=unit, entry_group=group_place[part.entry_group])
    return EdgeRows(part, rows, count[rows] == np.diff(table.entry_start)[rows])


def _table(table: NetworkRows, rows: Ints, entries: Ints) -> NetworkRows:
    """Rows with some of their entries."""
    count = np.bincount(table.entry_row[entries], minlength=len(table))[rows]
    return NetworkRows(
        row_id=tuple(table.row_id[row] for row in rows),
        where=tuple(table.where[row] for row in rows),
        interval=table.interval[rows],
        entry_start=np.append(0, np.cumsum(count)).astype(np.int64),
        entry_unit=table.entry_unit[entries],
        entry_group=table.entry_group[entries],
        weight=table.weight[entries],
        p_kw_max=table.p_kw_max[rows],
        p_kw_min=table.p_kw_min[rows],
        breach_price_per_kwh=table.breach_price_per_kwh[rows],
    )


def priced_rows(part: DispatchProblem, crossing: EdgeRows, per_kw: Floats) -> NetworkRows:
    """Rows at a fixed price: limits with a breach price that are broken whatever the part does.

    A breach costs its price from the first watt, so a limit out of reach is a linear cost.

    Args:
        part: whose rows they become.
        crossing: the rows, all of them with a price.
        per_kw: shape (R',), price of a kW of each row's sum over its interval, either sign.
    """
    table, b, g = crossing.table, part.batteries, part.groups
    most = (b.p_charge_kw_max + b.p_discharge_kw_max).sum(axis=0)
    most = most + part.generators.p_kw_available.sum(axis=0)
    most = most + (g.load_kw + g.generation_kw).sum(axis=0)
    weight = np.bincount(table.entry_row, np.abs(table.weight), len(table))
    beyond = weight * most[table.interval] + 1.0
    return replace(
        table,
        p_kw_max=np.where(per_kw > 0, -beyond, np.inf),
        p_kw_min=np.where(per_kw < 0, beyond, -np.inf),
        breach_price_per_kwh=np.abs(per_kw) / part.grid.step_h[table.interval],
    )


def joined(one: NetworkRows, other: NetworkRows) -> NetworkRows:
    """The rows of both."""
    start = np.append(one.entry_start, other.entry_start[1:] + one.entry_start[-1])
    columns: dict[str, Any] = {}
    for name, values in vars(one).items():
        more = getattr(other, name)
        is_array = isinstance(values, np.ndarray)
        columns[name] = np.concatenate([values, more]) if is_array else values + more
    return NetworkRows(**{**columns, "entry_start": start})
