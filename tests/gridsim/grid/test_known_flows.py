"""Published power flows, read from data files, reproduced through `Grid` and `PowerFlow`."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandapower as pp
import pytest
import xarray as xr

from gridsim.grid import Grid, PowerFlow, nominal_profiles
from twins.timegrid import TimeGrid

CASES = Path(__file__).parents[2] / "cases"
CASE_19 = json.loads((CASES / "powerflow_case19.json").read_text(encoding="utf-8"))
CASE_20 = json.loads((CASES / "powerflow_case20.json").read_text(encoding="utf-8"))
HOUR = TimeGrid.uniform("2023-01-16T00:00Z", dt.timedelta(hours=1), 1)


def two_bus_file(path: Path, case: dict[str, Any], *, with_generator: bool) -> Path:
    data = case["network"]
    net = pp.create_empty_network()
    first, second = (pp.create_bus(net, data["bus_kv"], name=name) for name in ("first", "second"))
    pp.create_ext_grid(net, first, vm_pu=data["slack_v_pu"])
    pp.create_line_from_parameters(net, first, second, **data["line"])
    load, generator = data["load"], data["generator"]
    pp.create_load(net, second, load["p_kw"] / 1e3, load["q_kvar"] / 1e3)
    if with_generator:
        pp.create_sgen(net, second, generator["p_kw"] / 1e3, generator["q_kvar"] / 1e3)
    pp.to_json(net, str(path / "net.json"))
    return path / "net.json"


def check_case_19(flow: xr.Dataset) -> None:
    expected = CASE_19["expected"]
    assert float(flow.v_pu.sel(bus="second")[0]) == pytest.approx(expected["v_pu"], abs=1e-8)
    assert float(flow.p_exchange_kw[0]) == pytest.approx(expected["p_exchange_kw"], abs=1e-4)
    assert float(flow.q_exchange_kvar[0]) == pytest.approx(expected["q_exchange_kvar"], abs=1e-4)
    assert float(flow.line_loading[0, 0]) == pytest.approx(expected["line_loading"], abs=1e-6)


def test_load_and_generation_give_powerfactorys_answer(tmp_path: Path) -> None:
    grid = Grid.from_json(two_bus_file(tmp_path, CASE_19, with_generator=True))
    check_case_19(PowerFlow(grid, nominal_profiles(grid, HOUR), {}).flow())


def test_a_discharging_battery_is_the_same_as_the_generation(tmp_path: Path) -> None:
    grid = Grid.from_json(two_bus_file(tmp_path, CASE_19, with_generator=False))
    flow = PowerFlow(grid, nominal_profiles(grid, HOUR), {"b": "second"})
    storage = CASE_19["storage_instead_of_generator"]
    coords = {"battery": flow.batteries, "time": flow.time}
    p, q = (
        xr.DataArray([[storage[name]]], dims=("battery", "time"), coords=coords)
        for name in ("p_kw", "q_kvar")
    )
    check_case_19(flow.flow(p, q))


@pytest.mark.parametrize("case", CASE_20, ids=lambda case: case["network"])
def test_standard_network(case: dict[str, Any]) -> None:
    grid = Grid.from_pandapower(case["network"])
    flow = PowerFlow(grid, nominal_profiles(grid, HOUR), {}).flow().isel(time=0)
    got: dict[str, Any] = {name: flow[name].to_numpy() for name in flow.data_vars}
    got["v_pu_lowest"], got["v_pu_lowest_at"] = flow.v_pu.min(), flow.v_pu.to_numpy().argmin()
    got["load_kw"], got["load_kvar"] = grid.loads.p_kw.sum(), grid.loads.q_kvar.sum()
    for name, expected in case["expected"].items():
        # The tables print six decimals of a per-unit value, and tenths of a watt or var.
        tolerance = 6e-7 if name.startswith("v_pu") else 6e-6 if "loading" in name else 6e-4
        np.testing.assert_allclose(got[name], expected, rtol=0, atol=tolerance, err_msg=name)
