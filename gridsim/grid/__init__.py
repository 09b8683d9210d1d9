"""The grid: the only place that knows pandapower."""

from __future__ import annotations

from gridsim.grid.errors import GridError
from gridsim.grid.network import Grid
from gridsim.grid.powerflow import PowerFlow
from gridsim.grid.profiles import nominal_profiles, simbench_profiles

__all__ = ["Grid", "GridError", "PowerFlow", "nominal_profiles", "simbench_profiles"]
