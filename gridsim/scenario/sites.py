"""Sites: meters, each with its load, its generation and the batteries behind it.

A site is not a battery. A site is one load of the grid with the generation that is its own, or all
loads and generation of a bus. Generation at a bus belongs to the loads there in turn, in the order
of the grid's tables: one plant stands behind one meter, also where a bus has several.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

if TYPE_CHECKING:
    import numpy.typing as npt

    from gridsim.grid import Grid
    from gridsim.scenario.fleet_spec import SiteGeneration

    Labels = npt.NDArray[np.str_]
    Positions = npt.NDArray[np.int64]

NO_SITE = -1
LOW_VOLTAGE_KV = 1.0


@dataclass(frozen=True, eq=False)
class SiteMap:
    """Which load and which generator stands behind which meter.

    Attributes:
        site_id: shape (S,), unique.
        bus: shape (S,), label of the bus that the meter is at.
        load_site: shape (load,), the site of each load of the grid, or `NO_SITE`.
        generator_site: shape (generator,), the same for generators.
    """

    site_id: Labels
    bus: Labels
    load_site: Positions
    generator_site: Positions

    def __post_init__(self) -> None:
        for column in (self.site_id, self.bus, self.load_site, self.generator_site):
            column.setflags(write=False)

    def __len__(self) -> int:
        return int(self.site_id.size)

    def sums(self, values: npt.NDArray[np.float64], owner: Positions) -> npt.NDArray[np.float64]:
        """Sums of element values (element, ...) by site, shape (S, ...)."""
        total = np.zeros((len(self), *values.shape[1:]))
        owned = owner != NO_SITE
        np.add.at(total, owner[owned], values[owned])
        return total


def make_sites(
    grid: Grid,
    site_id: Labels,
    load: Positions,
    bus: Positions,
    *,
    generation: SiteGeneration,
) -> SiteMap:
    """Sites from the load or the bus that each one stands at.

    Args:
        grid: the grid.
        site_id: shape (S,), unique.
        load: shape (S,), row of the site's load, or -1 for all loads of its bus.
        bus: shape (S,), row of the site's bus, whatever `load` says.
        generation: which generation at a bus belongs to the meters there.
    """
    load_site = np.full(len(grid.loads), NO_SITE, dtype=np.int64)
    bus_of_load = grid.buses.positions(grid.loads.bus)
    whole = load < 0
    site_of_bus = np.full(len(grid.buses), NO_SITE, dtype=np.int64)
    site_of_bus[bus[whole]] = np.flatnonzero(whole)
    load_site[:] = site_of_bus[bus_of_load]
    load_site[load[~whole]] = np.flatnonzero(~whole)
    generator_site = np.full(len(grid.generators), NO_SITE, dtype=np.int64)
    own = np.flatnonzero(_is_own(grid, generation))
    bus_of_generator = grid.buses.positions(grid.generators.bus[own])
    generator_site[own] = _owners(bus_of_generator, bus_of_load, load_site, site_of_bus)
    return SiteMap(
        np.array(site_id, dtype=np.str_), grid.buses.label[bus].copy(), load_site, generator_site
    )


def _is_own(grid: Grid, generation: SiteGeneration) -> npt.NDArray[np.bool_]:
    """Whether each generator stands behind a meter of its bus."""
    generators = grid.generators
    if generation == "none":
        return np.zeros(len(generators), dtype=bool)
    if generation == "at_bus":
        return np.ones(len(generators), dtype=bool)
    low = grid.buses.vn_kv[grid.buses.positions(generators.bus)] <= LOW_VOLTAGE_KV
    return low & (np.char.find(np.char.lower(generators.kind), "pv") >= 0)


def _owners(
    bus_of_generator: Positions,
    bus_of_load: Positions,
    load_site: Positions,
    site_of_bus: Positions,
) -> Positions:
    """The site of each generator: its bus's meter, else that of the load whose turn it is."""
    order = np.argsort(bus_of_load, kind="stable")
    sorted_bus = bus_of_load[order]
    first = np.searchsorted(sorted_bus, bus_of_generator, side="left")
    count = np.searchsorted(sorted_bus, bus_of_generator, side="right") - first
    turn = _occurrence(bus_of_generator)
    owner = site_of_bus[bus_of_generator].copy()
    dealt = (owner == NO_SITE) & (count > 0)
    load = order[first[dealt] + turn[dealt] % count[dealt]]
    owner[dealt] = load_site[load]
    return owner


def _occurrence(values: Positions) -> Positions:
    """How often each value has occurred before."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    starts = np.searchsorted(ordered, ordered, side="left")
    seen = np.empty(values.size, dtype=np.int64)
    seen[order] = np.arange(values.size) - starts
    return seen


def site_dataset(sites: SiteMap, grid: Grid, profiles: xr.Dataset) -> xr.Dataset:
    """What happens behind each meter without batteries.

    Returns:
        ``load_kw`` and ``generation_kw`` (site, time), both positive as their names say, and
        ``bus`` and ``load`` (label, or labels joined by "; ") by site.
    """
    names = _load_names(sites, grid)
    load_kw = sites.sums(profiles["load_kw"].to_numpy(), sites.load_site)
    generation_kw = sites.sums(profiles["generation_kw"].to_numpy(), sites.generator_site)
    # A load that feeds in generates, and the other way round: SimBench's profiles have traces.
    powers = {
        "load_kw": (
            "demand of the site",
            "positive takes from the grid",
            np.maximum(load_kw, 0.0) + np.maximum(-generation_kw, 0.0),
        ),
        "generation_kw": (
            "generation of the site",
            "positive feeds into the grid",
            np.maximum(generation_kw, 0.0) + np.maximum(-load_kw, 0.0),
        ),
    }
    variables = {
        name: (
            ("site", "time"),
            values,
            {"units": "kW", "long_name": words, "sign": sign, "cell_methods": "time: mean"},
        )
        for name, (words, sign, values) in powers.items()
    }
    labels = {
        "bus": ("site", sites.bus, {"long_name": "bus of the site's meter"}),
        "load": ("site", names, {"long_name": "loads behind the site's meter"}),
    }
    coords = {"site": sites.site_id, "time": profiles["time"].to_numpy()}
    return xr.Dataset({**labels, **variables}, coords=coords)


def _load_names(sites: SiteMap, grid: Grid) -> Labels:
    names: list[list[str]] = [[] for _ in range(len(sites))]
    for at in np.flatnonzero(sites.load_site != NO_SITE):
        names[sites.load_site[at]].append(str(grid.loads.label[at]))
    return np.array(["; ".join(labels) for labels in names], dtype=np.str_)
