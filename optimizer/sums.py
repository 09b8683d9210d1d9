"""Sums of rows by the group they belong to, without a turn of the interpreter for each row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

_ROWS_PER_CHUNK = 65536


@dataclass(frozen=True, eq=False)
class NetPower:
    """Charging less discharging, worked out where it is asked for.

    At a fleet's size each table counts.
    """

    charge_kw: Floats
    discharge_kw: Floats

    def __getitem__(self, key: Any) -> Floats:
        return np.asarray(self.charge_kw[key] - self.discharge_kw[key])


def add_rows(totals: Floats, group: Ints, values: Floats | NetPower) -> None:
    """Add each row of `values` to the row of `totals` that `group` names, in place.

    The same as ``np.add.at(totals, group, values)``, in the order of the groups.

    Args:
        totals: shape (G, T).
        group: shape (N,), rows of `totals`; negative ones count from the end.
        values: shape (N, T).
    """
    group = group % max(len(totals), 1)
    # Batteries mostly stand in the order of their groups; a chunk at a time keeps copies small.
    for start in range(0, len(group), _ROWS_PER_CHUNK):
        mine = group[start : start + _ROWS_PER_CHUNK]
        rows = values[start : start + _ROWS_PER_CHUNK]
        if (np.diff(mine) < 0).any():
            order = np.argsort(mine, kind="stable")
            mine, rows = mine[order], rows[order]
        first = np.flatnonzero(np.diff(mine, prepend=-1))
        totals[mine[first]] += np.add.reduceat(rows, first, axis=0)
