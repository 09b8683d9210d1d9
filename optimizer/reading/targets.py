"""Targets of batteries and sessions, as columns of the normal form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from optimizer.problem import Targets

if TYPE_CHECKING:
    import datetime as dt

    from optimizer.reading.context import Reading


@dataclass(frozen=True)
class _Wish:
    where: str
    moment_key: str
    battery: int
    at: dt.datetime
    energy_kwh_min: float | None
    energy_kwh_max: float | None
    breach_price_per_kwh: float | None


def targets_of(reading: Reading) -> Targets:
    """Targets in the order of their units; then the sessions' wishes at departure."""
    rows = []
    for wish in _wishes(reading):
        if wish.energy_kwh_min is None and wish.energy_kwh_max is None:
            reading.faults.add(wish.where, None, "must have energy_kwh_min, energy_kwh_max or both")
        moment = f"{wish.where}{wish.moment_key}"
        place = reading.locate(wish.at, moment)
        if place is not None and place[1] == 0.0:
            reading.faults.add(moment, wish.at.isoformat(), "must be after the horizon's start")
        elif place is not None:
            rows.append((wish, *place))
    return Targets(
        where=tuple(wish.where for wish, _, _ in rows),
        battery=np.array([wish.battery for wish, _, _ in rows], dtype=np.int64),
        interval=np.array([interval for _, interval, _ in rows], dtype=np.int64),
        share=np.array([share for _, _, share in rows], dtype=float),
        energy_kwh_min=np.array([_or(w.energy_kwh_min, -np.inf) for w, _, _ in rows], dtype=float),
        energy_kwh_max=np.array([_or(w.energy_kwh_max, np.inf) for w, _, _ in rows], dtype=float),
        breach_price_per_kwh=np.array(
            [w.breach_price_per_kwh or 0.0 for w, _, _ in rows], dtype=float
        ),
    )


def _wishes(reading: Reading) -> list[_Wish]:
    batteries, sessions = reading.document.batteries, reading.document.sessions
    stores = list(zip(batteries, reading.where("batteries"), strict=True))
    wishes = []
    for battery, (row, path) in enumerate(stores):
        wishes += [
            _Wish(
                f"{path}.targets[{at}]",
                ".at",
                battery,
                target.at,
                target.energy_kwh_min,
                target.energy_kwh_max,
                target.breach_price_per_kwh,
            )
            for at, target in enumerate(row.targets)
        ]
    for at, (session, path) in enumerate(zip(sessions, reading.where("sessions"), strict=True)):
        price = session.breach_price_per_kwh
        wanted = session.energy_kwh_wanted
        wishes.append(
            _Wish(
                f"{path}.departure", "", len(batteries) + at, session.departure, wanted, None, price
            )
        )
    return wishes


def _or(value: float | None, default: float) -> float:
    return default if value is None else value
