"""The grid: the only place that knows pandapower.

A `Grid` is built once from a SimBench code, a pandapower file or a named network. `PowerFlow`
attaches batteries to it and solves the AC power flow of a whole time axis; `find_breaches` names
every limit that is broken; `Watch` and `sensitivities` say what is near a limit and how it answers
to each battery.
"""

from __future__ import annotations

from gridsim.grid.areas import Area, AreaTree, area_tree, areas
from gridsim.grid.breaches import Breach, Breaches, find_breaches
from gridsim.grid.errors import GridError
from gridsim.grid.given_profiles import given_profiles
from gridsim.grid.model import GridModel
from gridsim.grid.network import Grid
from gridsim.grid.powerflow import OperatingPoint, PowerFlow
from gridsim.grid.profiles import nominal_profiles, simbench_profiles
from gridsim.grid.sensitivities import Watched, sensitivities
from gridsim.grid.watching import Nearness, Watch

__all__ = [
    "Area",
    "AreaTree",
    "Breach",
    "Breaches",
    "Grid",
    "GridError",
    "GridModel",
    "Nearness",
    "OperatingPoint",
    "PowerFlow",
    "Watch",
    "Watched",
    "area_tree",
    "areas",
    "find_breaches",
    "given_profiles",
    "nominal_profiles",
    "sensitivities",
    "simbench_profiles",
]
