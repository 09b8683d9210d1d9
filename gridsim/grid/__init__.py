"""The grid: the only place that knows pandapower.

A `Grid` is built once from a SimBench code, a pandapower file or a named network. `PowerFlow`
attaches batteries to it and solves the AC power flow of a whole time axis; `find_breaches` names
every limit that is broken; `secant_cuts` says how much of the plan the grid can carry.
"""

from __future__ import annotations

from gridsim.grid.areas import Area, AreaTree, area_tree, areas
from gridsim.grid.breaches import Breach, Breaches, find_breaches
from gridsim.grid.cuts import Cut, secant_cuts
from gridsim.grid.errors import GridError
from gridsim.grid.given_profiles import given_profiles
from gridsim.grid.model import GridModel
from gridsim.grid.network import Grid
from gridsim.grid.powerflow import PowerFlow
from gridsim.grid.profiles import nominal_profiles, simbench_profiles
from gridsim.grid.sensitivities import Watched, sensitivities

__all__ = [
    "Area",
    "AreaTree",
    "Breach",
    "Breaches",
    "Cut",
    "Grid",
    "GridError",
    "GridModel",
    "PowerFlow",
    "Watched",
    "area_tree",
    "areas",
    "find_breaches",
    "given_profiles",
    "nominal_profiles",
    "secant_cuts",
    "sensitivities",
    "simbench_profiles",
]
