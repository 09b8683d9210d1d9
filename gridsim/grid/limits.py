"""Overriding a grid's limits, for all elements or by voltage level."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from gridsim.grid.errors import GridError
from twins.faults import FaultList

if TYPE_CHECKING:
    import numpy.typing as npt

    from gridsim.grid.tables import BusTable, LineTable, TransformerTable

    Floats = npt.NDArray[np.float64]

Limit = float | Mapping[float, float]
_V_PU_RANGE = (0.5, 1.5)
_LOADING_RANGE = (0.01, 10.0)


def override(
    buses: BusTable,
    lines: LineTable,
    transformers: TransformerTable,
    v_pu_min: Limit | None,
    v_pu_max: Limit | None,
    loading_max: Limit | None,
) -> tuple[BusTable, LineTable, TransformerTable]:
    """The tables with other limits; see `Grid.with_limits`."""
    faults = FaultList("grid limits")
    levels = buses.vn_kv
    line_kv = levels[buses.positions(lines.from_bus)]
    transformer_kv = levels[buses.positions(transformers.hv_bus)]
    low = _apply("v_pu_min", buses.v_pu_min, levels, levels, v_pu_min, _V_PU_RANGE, faults)
    high = _apply("v_pu_max", buses.v_pu_max, levels, levels, v_pu_max, _V_PU_RANGE, faults)
    of_lines, of_transformers = (
        _apply("loading_max", old, kv, levels, loading_max, _LOADING_RANGE, seen)
        for old, kv, seen in (
            (lines.loading_max, line_kv, faults),
            (transformers.loading_max, transformer_kv, FaultList("the same limits again")),
        )
    )
    for at in np.flatnonzero(low >= high)[:1]:
        where = f"v_pu_min of {buses.label[at]}"
        faults.add(where, float(low[at]), f"must be below v_pu_max, which is {high[at]}")
    faults.raise_if_any(GridError)
    return (
        replace(buses, v_pu_min=low, v_pu_max=high),
        replace(lines, loading_max=of_lines),
        replace(transformers, loading_max=of_transformers),
    )


def _apply(
    name: str,
    old: Floats,
    kv: Floats,
    levels: Floats,
    limit: Limit | None,
    allowed: tuple[float, float],
    faults: FaultList,
) -> Floats:
    if limit is None:
        return old
    known = sorted({float(level) for level in levels})
    given = limit if isinstance(limit, Mapping) else dict.fromkeys(known, limit)
    new = old.copy()
    for level, value in given.items():
        at = f"{name}[{level}]" if isinstance(limit, Mapping) else name
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not allowed[0] <= value <= allowed[1]:
            faults.add(at, value, f"must be a number from {allowed[0]} to {allowed[1]}")
            if not isinstance(limit, Mapping):
                break
        elif level not in known:
            faults.add(at, level, f"no bus has this voltage; the grid has {known} kV")
        else:
            new[kv == level] = value
    return new
