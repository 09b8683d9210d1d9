"""The region: 9,102 buses, 10,000 batteries, 48 half-hours; load, replay and power flow apart."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import pandapower as pp
import pytest
import xarray as xr

from gridsim.grid import Grid, PowerFlow, simbench_profiles
from gridsim.scenario import build, load_scenario
from twins import replay

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt
    from pytest_benchmark.fixture import BenchmarkFixture

    from gridsim.study.study import Study


@pytest.fixture(scope="module")
def region(study_of: Callable[[str], Study]) -> Study:
    return study_of("region")


@pytest.fixture(scope="module")
def p_kw(region: Study) -> xr.DataArray:
    """Every battery at a drawn power, the same in every run."""
    fleet, time_grid = region.built.fleet, region.built.time_grid
    share = np.random.default_rng(7).uniform(-1, 1, (len(fleet), len(time_grid)))
    return xr.DataArray(
        share * fleet.p_kw_rated[:, None],
        dims=("battery", "time"),
        coords={"battery": fleet.battery_id.tolist(), "time": time_grid.starts},
    )


@pytest.mark.benchmark(group="region: load")
def test_read_the_grid(benchmark: BenchmarkFixture, region: Study) -> None:
    code = region.built.scenario.grid.simbench
    benchmark.pedantic(Grid.from_simbench, args=(code,), rounds=1)


@pytest.mark.benchmark(group="region: load")
def test_read_the_profiles_of_a_day(benchmark: BenchmarkFixture, region: Study) -> None:
    built = region.built
    args = (built.grid, built.time_grid, "Europe/Berlin")
    benchmark.pedantic(simbench_profiles, args=args, rounds=3)


@pytest.mark.benchmark(group="region: load")
def test_build_the_scenario_on_a_grid_in_memory(benchmark: BenchmarkFixture, region: Study) -> None:
    scenario = load_scenario("region")
    benchmark.pedantic(build, args=(scenario,), kwargs={"grid": region.built.grid}, rounds=1)


@pytest.mark.benchmark(group="region: replay")
def test_replay(benchmark: BenchmarkFixture, region: Study, p_kw: xr.DataArray) -> None:
    built = region.built
    replay(built.fleet, built.time_grid, p_kw)  # compiles
    benchmark.pedantic(replay, args=(built.fleet, built.time_grid, p_kw), rounds=5)


@pytest.mark.benchmark(group="region: power flow")
def test_power_flow(benchmark: BenchmarkFixture, region: Study, p_kw: xr.DataArray) -> None:
    """48 flows, beside pandapower's own Newton on four of the same intervals."""
    flow: PowerFlow = region.power_flow
    warm = flow.flow(p_kw)
    result = benchmark.pedantic(flow.flow, args=(p_kw,), rounds=3)
    assert result["converged"].all()
    benchmark.extra_info["times_faster_than_pandapower"] = _pandapower_seconds(
        flow, p_kw, warm["v_pu"].to_numpy()
    ) / (benchmark.stats.stats.mean / p_kw.sizes["time"])


def _pandapower_seconds(
    flow: PowerFlow, p_kw: xr.DataArray, v_pu: npt.NDArray[np.float64]
) -> float:
    """Seconds of one flow by pandapower's own Newton, warm, which must agree."""
    seconds = []
    for interval in (0, 12, 24, 36):
        net = flow.to_pandapower(p_kw, interval)
        clock = time.perf_counter()
        pp.runpp(net, init="results")
        seconds.append(time.perf_counter() - clock)
        found = net.res_bus.vm_pu.loc[flow.grid.bus_index].to_numpy()
        assert np.allclose(v_pu[:, interval], found, atol=1e-6)
    return min(seconds)
