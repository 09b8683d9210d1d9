"""Columns that came later: left out they say nothing and hold no memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt


def left_out() -> npt.NDArray[Any]:
    """Stands for a column that was not given."""
    return np.zeros(0)


def spread(table: object, **columns: tuple[float, tuple[int, ...]]) -> None:
    """Give columns that were left out their default, by name, at full shape but for one number.

    Args:
        table: a frozen table that is just being made.
        columns: default and shape of each.
    """
    for name, (default, shape) in columns.items():
        if not getattr(table, name).size:
            object.__setattr__(table, name, np.broadcast_to(default, shape))


def says_nothing(values: npt.NDArray[Any], default: float) -> bool:
    """Whether a column holds nothing but its default."""
    if not any(values.strides):
        values = values[(slice(0, 1),) * values.ndim]
    return bool((np.isnan(values) if np.isnan(default) else values == default).all())
