"""Small builders that the twin's tests share."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import numpy as np

from twins import TECHNOLOGIES, Fleet, Technology, TimeGrid

CASES = Path(__file__).resolve().parent.parent / "cases"


def case(name: str) -> dict[str, Any]:
    """A known-answer file."""
    return json.loads((CASES / name).read_text(encoding="utf-8"))


def hours_grid(step_minutes: float, hours: float, start: str = "2023-01-16T00:00Z") -> TimeGrid:
    """A uniform grid of `hours` in steps of `step_minutes`."""
    count = round(hours * 60 / step_minutes)
    return TimeGrid.uniform(start, dt.timedelta(minutes=step_minutes), count)


def one_battery(technology: Technology | str = "lfp", **columns: Any) -> Fleet:
    """A fleet of one battery of 10 kWh and 5 kW, unless told otherwise."""
    if isinstance(technology, str):
        technology = TECHNOLOGIES[technology]
    known: dict[str, Any] = {
        "energy_kwh_max": 10.0,
        "p_charge_kw_max": 5.0,
        "p_discharge_kw_max": 5.0,
        **columns,
    }
    return Fleet.from_columns(battery_id=["b0"], site_id=["s0"], technologies=technology, **known)


def mixed_fleet(count: int, seed: int = 0, **columns: Any) -> Fleet:
    """`count` batteries of every technology, of sizes drawn with `seed`."""
    rng = np.random.default_rng(seed)
    known: dict[str, Any] = {
        "technology_index": rng.integers(0, len(TECHNOLOGIES), count),
        "energy_kwh_max": rng.uniform(5, 15, count),
        "p_charge_kw_max": rng.uniform(2, 6, count),
        "p_discharge_kw_max": rng.uniform(2, 6, count),
        "soc_min": rng.uniform(0, 0.2, count),
        "soc_max": rng.uniform(0.8, 1, count),
        "soc_initial": rng.uniform(0, 1, count),
        "capacity_fraction": rng.uniform(0.8, 1, count),
        **columns,
    }
    names = [f"b{row:05d}" for row in range(count)]
    return Fleet.from_columns(
        battery_id=names, site_id=names, technologies=list(TECHNOLOGIES.values()), **known
    )
