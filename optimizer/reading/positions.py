"""Committed positions of a document, as columns of the normal form."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from optimizer.problem import Positions

if TYPE_CHECKING:
    from optimizer.reading.context import Reading


def positions_of(reading: Reading) -> Positions:
    """Positions in the document's order."""
    rows = list(zip(reading.document.positions, reading.where("positions"), strict=True))
    columns = {
        name: reading.matrix([reading.series(getattr(r, name), f"{p}.{name}") for r, p in rows])
        for name in ("p_kw", "price_above_per_kwh", "price_below_per_kwh")
    }
    return Positions(
        position_id=tuple(row.position_id or path for row, path in rows),
        where=tuple(path for _, path in rows),
        group=np.array(
            [reading.group(row.group_id, f"{path}.group_id") for row, path in rows], dtype=np.int64
        ),
        **columns,
    )
