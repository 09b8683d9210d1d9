"""Linear rows over net powers: what lines and voltages allow near an operating point."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class NetworkRows:
    """Rows ``p_kw_min ≤ Σ weight · P ≤ p_kw_max`` over net powers of one interval each.

    An entry's P is the power of one unit (a battery's ``p``, a generator's ``−g``), or the net of
    one group with everything below it, fixed load and generation included. The maker scales a row
    so that its value is in kW: its largest weight is about 1. A row without a price is firm.

    Attributes:
        row_id: what each row is about, length R; a name may come once in each interval.
        where: path of each row in its document.
        interval: shape (R,), the interval whose powers it sums.
        entry_start: shape (R+1,), row r has the entries ``entry_start[r]:entry_start[r+1]``.
        entry_unit: shape (E,), 0 to N−1 a battery, N to N+M−1 a generator, −1 a group.
        entry_group: shape (E,), the group, or `NO_GROUP` for the whole, where `entry_unit` is −1;
            else not used.
        weight: shape (E,).
        p_kw_max: shape (R,), +inf for none.
        p_kw_min: shape (R,), −inf for none.
        breach_price_per_kwh: shape (R,), 0: firm.
    """

    row_id: tuple[str, ...]
    where: tuple[str, ...]
    interval: Ints
    entry_start: Ints
    entry_unit: Ints
    entry_group: Ints
    weight: Floats
    p_kw_max: Floats
    p_kw_min: Floats
    breach_price_per_kwh: Floats

    def __len__(self) -> int:
        return len(self.row_id)

    @property
    def is_firm(self) -> npt.NDArray[np.bool_]:
        """Rows without a price of their own, shape (R,)."""
        return np.asarray(self.breach_price_per_kwh == 0)

    @property
    def entry_row(self) -> Ints:
        """The row that each entry belongs to, shape (E,)."""
        return np.repeat(np.arange(len(self)), np.diff(self.entry_start))

    @classmethod
    def none(cls) -> NetworkRows:
        """A table without rows."""
        empty, whole = np.zeros(0), np.zeros(0, dtype=np.int64)
        start = np.zeros(1, dtype=np.int64)
        return cls((), (), whole, start, whole, whole, empty, empty, empty, empty)
