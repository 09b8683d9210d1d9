"""The fleet's walk over time: arrays made ready, and filled by the kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from twins.kernel import walk_rows

if TYPE_CHECKING:
    import numpy.typing as npt

    from twins.clock import Pieces

    Floats = npt.NDArray[np.float64]


class Walk(NamedTuple):
    """What happened to R rows (batteries, or batteries in scenarios) over N intervals.

    Attributes:
        p_kw, q_kvar: delivered means, (R, N).
        p_shortfall_kw: asked for minus delivered, (R, N).
        loss_kwh: terminal energy that was not stored, plus stored energy that vanished, (R, N).
        energy_kwh, soc, temperature_c: at the instants, (R, N+1).
        moved_kwh: energy through the store, both directions together, (R,).
        charged_kwh, discharged_kwh: energy taken in and given out at the terminals, (R,).
    """

    p_kw: Floats
    q_kvar: Floats
    p_shortfall_kw: Floats
    loss_kwh: Floats
    energy_kwh: Floats
    soc: Floats
    temperature_c: Floats
    moved_kwh: Floats
    charged_kwh: Floats
    discharged_kwh: Floats


def walk(records: npt.NDArray[Any], p_kw: Floats, q_kvar: Floats | None, pieces: Pieces) -> Walk:
    """Walk every record through the pieces; row r follows command row ``r mod len(p_kw)``."""
    rows, intervals = records.size, p_kw.shape[1]
    q_given = np.zeros((0, intervals)) if q_kvar is None else np.ascontiguousarray(q_kvar)
    made = Walk(
        p_kw=np.empty((rows, intervals)),
        q_kvar=np.zeros((rows, intervals)) if q_kvar is None else np.empty((rows, intervals)),
        p_shortfall_kw=np.empty((rows, intervals)),
        loss_kwh=np.empty((rows, intervals)),
        energy_kwh=np.empty((rows, intervals + 1)),
        soc=np.empty((rows, intervals + 1)),
        temperature_c=np.empty((rows, intervals + 1)),
        moved_kwh=np.zeros(rows),
        charged_kwh=np.zeros(rows),
        discharged_kwh=np.zeros(rows),
    )
    clock = (pieces.first, pieces.hours, pieces.since_tick_h, pieces.closes, pieces.ambient_c)
    walk_rows(records, np.ascontiguousarray(p_kw), q_given, clock, made)
    return made
