"""What has been sold or bought already: net powers that a deviation is settled against."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Positions:
    """Committed net powers, day-ahead, then intraday; what deviates is paid for by the kWh.

    Either price may be negative (less drawn than bought is sold again), but not their sum: no
    deviation may earn both ways.

    Attributes:
        position_id: the rows' names, length C.
        where: path of each row in its document.
        group: shape (C,), the group whose net was committed, or `NO_GROUP` for the whole.
        p_kw: shape (C, T), committed net power, positive drawn.
        price_above_per_kwh: shape (C, T), cost of each kWh of net above it.
        price_below_per_kwh: shape (C, T), cost of each kWh of net below it.
    """

    position_id: tuple[str, ...]
    where: tuple[str, ...]
    group: Ints
    p_kw: Floats
    price_above_per_kwh: Floats
    price_below_per_kwh: Floats

    def __len__(self) -> int:
        return len(self.position_id)

    @classmethod
    def none(cls) -> Positions:
        """A table without rows."""
        empty = np.zeros((0, 0))
        return cls((), (), np.zeros(0, dtype=np.int64), empty, empty, empty)
