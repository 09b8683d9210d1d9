"""Reserve products of a document, as columns of the normal form."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from optimizer.problem import Reserves

if TYPE_CHECKING:
    from optimizer.reading.context import Reading


def reserves_of(reading: Reading) -> Reserves:
    """Products in the document's order."""
    document, where = reading.document.reserves, reading.where("reserves")
    rows = list(zip(document, where, strict=True))
    return Reserves(
        reserve_id=tuple(row.reserve_id or path for row, path in rows),
        where=where,
        group=np.array(
            [reading.group(row.group_id, f"{path}.group_id") for row, path in rows], dtype=np.int64
        ),
        is_up=np.array([row.direction == "up" for row in document], dtype=bool),
        p_kw_required=reading.matrix(
            [reading.series(row.p_kw_required, f"{path}.p_kw_required") for row, path in rows]
        ),
        duration_h=np.array([row.duration_h for row in document], dtype=float),
        breach_price_per_kwh=np.array(
            [row.breach_price_per_kwh or 0.0 for row in document], dtype=float
        ),
    )
