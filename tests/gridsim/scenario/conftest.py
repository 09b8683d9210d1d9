"""A small scenario to change, and a price file of which every value is known."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def hourly_prices(tmp_path: Path) -> Path:
    """Four hundred days of hourly prices from 2023-01-01: the price is the number of the hour."""
    start = dt.datetime(2023, 1, 1, tzinfo=dt.UTC)
    lines = ["start,price"]
    for hour in range(400 * 24):
        moment = start + dt.timedelta(hours=hour)
        lines.append(f"{moment:%Y-%m-%dT%H:%MZ},{hour}")
    path = tmp_path / "hourly.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def content(hourly_prices: Path) -> dict[str, Any]:
    """A valid scenario as plain values."""
    return {
        "name": "small",
        "time_zone": "Europe/Amsterdam",
        "horizon": {"day": "2023-01-16"},
        "grid": {"pandapower_network": "create_kerber_landnetz_freileitung_1"},
        "profiles": {"nominal": True},
        "prices": {
            "csv": str(hourly_prices),
            "time_column": "start",
            "column": "price",
            "unit": "EUR/MWh",
        },
        "fleet": {
            "rule": {
                "at": {"every_load": True},
                "seed": 1,
                "technology": "lfp",
                "energy_kwh": {"uniform": [5, 15]},
                "power": {"c_rate": 0.5},
            }
        },
    }
