"""Network rows of a document, as columns of the normal form."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from optimizer.problem import NO_GROUP, NetworkRows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from optimizer.document import NetworkRowDocument
    from optimizer.reading.context import Reading


class _Entry(NamedTuple):
    unit: int
    group: int
    weight: float


def network_rows_of(reading: Reading) -> NetworkRows:
    """Rows in the document's order; of each the batteries, generators, groups and the whole."""
    document, where = reading.document.network, reading.where("network")
    rows = list(zip(document, where, strict=True))
    # Beside a horizon that is badly formed no interval can be judged.
    most = len(reading.grid) - 1
    interval = [row.interval if reading.has_time else min(row.interval, most) for row in document]
    entries = [list(_entries(reading, row, path)) for row, path in rows]
    flat = [entry for of_row in entries for entry in of_row]
    return NetworkRows(
        row_id=tuple(row.row_id or path for row, path in rows),
        where=where,
        interval=np.array(interval, dtype=np.int64),
        entry_start=np.cumsum([0, *map(len, entries)], dtype=np.int64),
        entry_unit=np.array([entry.unit for entry in flat], dtype=np.int64),
        entry_group=np.array([entry.group for entry in flat], dtype=np.int64),
        weight=np.array([entry.weight for entry in flat], dtype=float),
        p_kw_max=np.array([_or(row.p_kw_max, np.inf) for row in document], dtype=float),
        p_kw_min=np.array([_or(row.p_kw_min, -np.inf) for row in document], dtype=float),
        breach_price_per_kwh=np.array(
            [row.breach_price_per_kwh or 0.0 for row in document], dtype=float
        ),
    )


def _entries(reading: Reading, row: NetworkRowDocument, path: str) -> Iterator[_Entry]:
    """A name that is unknown is a fault, and an entry of no weight stands in."""
    count = len(reading.document.batteries) + len(reading.document.sessions)
    for name, weight in row.batteries.items():
        at = reading.unit(
            name, reading.battery_index, "battery or session", f"{path}.batteries.{name}"
        )
        yield _Entry(-1, NO_GROUP, 0.0) if at is None else _Entry(at, NO_GROUP, weight)
    for name, weight in row.generators.items():
        at = reading.unit(name, reading.generator_index, "generator", f"{path}.generators.{name}")
        yield _Entry(-1, NO_GROUP, 0.0) if at is None else _Entry(count + at, NO_GROUP, weight)
    for name, weight in row.groups.items():
        yield _Entry(-1, reading.group(name, f"{path}.groups.{name}"), weight)
    if row.whole is not None:
        yield _Entry(-1, NO_GROUP, row.whole)


def _or(value: float | None, default: float) -> float:
    return default if value is None else value
