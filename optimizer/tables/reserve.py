"""Power that batteries must be able to give, or to take, on top of what they do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Reserves:
    """Reserve products: power held ready, with the energy behind it.

    Attributes:
        reserve_id: the rows' names, length K.
        where: path of each row in its document.
        group: shape (K,), the group whose batteries keep it, or `NO_GROUP` for all of them.
        is_up: shape (K,), true: deliver more or draw less; false: the other way.
        p_kw_required: shape (K, T), ≥ 0, wanted of all its batteries together.
        duration_h: shape (K,), ≥ 0, for how long it must be possible to hold it, from either end
            of the interval.
        breach_price_per_kwh: shape (K,), price of each kW missing and hour, 0: firm.
    """

    reserve_id: tuple[str, ...]
    where: tuple[str, ...]
    group: Ints
    is_up: npt.NDArray[np.bool_]
    p_kw_required: Floats
    duration_h: Floats
    breach_price_per_kwh: Floats

    def __len__(self) -> int:
        return len(self.reserve_id)

    @property
    def is_firm(self) -> npt.NDArray[np.bool_]:
        """Products without a price of their own, shape (K,)."""
        return np.asarray(self.breach_price_per_kwh == 0)

    @classmethod
    def none(cls) -> Reserves:
        """A table without rows."""
        empty, flags = np.zeros(0), np.zeros(0, dtype=bool)
        whole = np.zeros(0, dtype=np.int64)
        return cls((), (), whole, flags, np.zeros((0, 0)), empty, empty)
