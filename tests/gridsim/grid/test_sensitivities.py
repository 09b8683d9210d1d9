"""First-order answers of voltages and loadings against differences of the AC flow itself."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import numpy as np
import pytest

from gridsim.grid import Grid, PowerFlow, nominal_profiles, sensitivities
from gridsim.grid.sensitivities import Watched
from twins.timegrid import TimeGrid

from .conftest import plan_for

if TYPE_CHECKING:
    import xarray as xr

_VALUES = {"bus": "v_pu", "line": "line_loading", "transformer": "transformer_loading"}
_STEP_KW = 0.05


def on_network(name: str) -> PowerFlow:
    """A battery at every energised bus of a network of pandapower, two intervals."""
    grid = Grid.from_pandapower(name)
    day = TimeGrid.uniform("2023-01-16T00:00Z", dt.timedelta(hours=1), 2)
    buses = grid.buses.label[grid.buses.energised]
    places = {f"at {bus}": str(bus) for bus in buses}
    return PowerFlow(grid, nominal_profiles(grid, day), places)


def all_values(flow: PowerFlow, interval: int) -> Watched:
    """Every bus, line and transformer that is switched on."""
    grid = flow.grid
    rows = {
        "bus": np.flatnonzero(grid.buses.energised),
        "line": np.flatnonzero(flow.baseline["line_loading"][:, interval].to_numpy() > 1e-6),
        "transformer": np.arange(len(grid.transformers)),
    }
    kind = np.concatenate([np.full(at.size, name) for name, at in rows.items()])
    position = np.concatenate(list(rows.values()))
    return Watched(kind, position, np.full(position.size, interval))


def read(flow: xr.Dataset, watched: Watched) -> np.ndarray:
    """The watched values of a flow."""
    found = np.empty(len(watched))
    for kind, name in _VALUES.items():
        mine = watched.kind == kind
        found[mine] = flow[name].to_numpy()[watched.position[mine], watched.interval[mine]]
    return found


@pytest.mark.parametrize(
    ("name", "low_kw", "high_kw"),
    [
        ("create_cigre_network_lv", -20.0, 20.0),
        ("create_cigre_network_mv", -500.0, 500.0),
        ("case33bw", -100.0, 50.0),
        ("example_multivoltage", -50.0, 50.0),  # meshed, three windings, a machine
    ],
)
def test_sensitivities_are_the_slopes_of_the_power_flow(
    name: str, low_kw: float, high_kw: float
) -> None:
    flow = on_network(name)
    plan = plan_for(flow, low_kw, high_kw, seed=4)
    watched = all_values(flow, 1)
    found = sensitivities(flow, flow.operating_point(plan), watched)
    for battery in range(0, flow.batteries.size, max(flow.batteries.size // 8, 1)):
        up, down = plan.copy(deep=True), plan.copy(deep=True)
        up[battery, 1] += _STEP_KW
        down[battery, 1] -= _STEP_KW
        slope = (read(flow.flow(up), watched) - read(flow.flow(down), watched)) / (2 * _STEP_KW)
        size = np.abs(found).max(axis=1)  # of each value's own largest answer
        assert np.abs(found[:, battery] - slope).max() < 1e-4 * np.abs(found).max()
        assert (np.abs(found[:, battery] - slope) < 1e-3 * size + 1e-9).all()


def test_watching_intervals_together_or_alone_is_the_same(street_flow: PowerFlow) -> None:
    point = street_flow.operating_point(plan_for(street_flow, -5, 5, seed=2))
    both = [all_values(street_flow, at) for at in (3, 40)]
    joined = Watched(
        *(
            np.concatenate([getattr(one, name) for one in both])
            for name in ("kind", "position", "interval")
        )
    )
    together = sensitivities(street_flow, point, joined)
    alone = np.concatenate([sensitivities(street_flow, point, one) for one in both])
    assert np.allclose(together, alone, rtol=1e-12, atol=0)
    assert (together[joined.kind == "bus"] <= 0).all()  # charging lowers every voltage
