"""Signs, units, agreement with pandapower, and what happens when there is no solution."""

from __future__ import annotations

import datetime as dt
import warnings
from typing import TYPE_CHECKING

import numpy as np
import pandapower as pp
import pandapower.networks as pn
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from gridsim.grid import Grid, GridError, PowerFlow, nominal_profiles, simbench_profiles, units
from twins.timegrid import TimeGrid

from .conftest import battery_at_every_load, plan_for

if TYPE_CHECKING:
    from pathlib import Path

TWO_HOURS = TimeGrid.uniform("2023-01-16T00:00Z", dt.timedelta(hours=1), 2)


def assert_like_pandapower(flow: PowerFlow, plan: xr.DataArray | None, interval: int) -> None:
    got = flow.flow(plan).isel(time=interval)
    net = flow.to_pandapower(plan, interval)
    with warnings.catch_warnings():
        # An old file's missing column is pandapower's own affair.
        warnings.filterwarnings("ignore", "tap_dependency_table", DeprecationWarning)
        pp.runpp(net, numba=False, tolerance_mva=1e-9)
    loading = np.concatenate([net.res_trafo.loading_percent, net.res_trafo3w.loading_percent])
    exchange = net.res_ext_grid.sum() + net.res_gen[net.gen.slack.to_numpy(dtype=bool)].sum()
    losses = sum(net[f"res_{kind}"].pl_mw.sum() for kind in ("line", "trafo", "trafo3w"))
    np.testing.assert_allclose(got.v_pu, net.res_bus.vm_pu, rtol=0, atol=1e-6)
    np.testing.assert_allclose(
        got.line_loading, net.res_line.loading_percent.fillna(0) / 100, rtol=0, atol=1e-6
    )
    np.testing.assert_allclose(got.transformer_loading, loading / 100, rtol=0, atol=1e-6)
    np.testing.assert_allclose(
        got.line_p_kw, net.res_line.p_from_mw.fillna(0) * 1e3, rtol=0, atol=1e-2
    )
    assert float(got.p_exchange_kw) == pytest.approx(exchange.p_mw * 1e3, abs=1e-2)
    assert float(got.q_exchange_kvar) == pytest.approx(exchange.q_mvar * 1e3, abs=1e-2)
    if not len(net.impedance):
        assert float(got.losses_kw) == pytest.approx(losses * 1e3, abs=1e-2)


@pytest.mark.parametrize("interval", [0, 35])
def test_street_agrees_with_pandapower(street_flow: PowerFlow, interval: int) -> None:
    assert "KLU" in street_flow.engine
    assert_like_pandapower(street_flow, None, interval)
    assert_like_pandapower(street_flow, plan_for(street_flow, -4, 4), interval)


def test_town_agrees_with_pandapower_with_parallel_transformers_and_open_switches(
    town_flow: PowerFlow,
) -> None:
    assert "KLU" in town_flow.engine
    assert (~town_flow.grid._net.switch.closed).any()
    assert_like_pandapower(town_flow, plan_for(town_flow, -4, 6), 20)


def test_taps_phase_shifts_and_parallel_units_agree_with_pandapower(
    town: Grid, tmp_path: Path
) -> None:
    net = town.net_copy()
    net.trafo["tap_changer_type"] = "Ratio"
    net.trafo["tap_pos"] = [-4, -4, 1]
    net.trafo.loc[net.trafo.index[-1], "parallel"] = 2
    net.line.loc[net.line.index[:20], "parallel"] = 2
    net.line.loc[net.line.index[30], "in_service"] = False
    pp.to_json(net, str(tmp_path / "net.json"))
    grid = Grid.from_json(tmp_path / "net.json")
    flow = PowerFlow(grid, nominal_profiles(grid, TWO_HOURS), {})
    assert "KLU" in flow.engine
    assert not np.allclose(flow.flow().v_pu[:, 0], PowerFlow(
        town, nominal_profiles(town, TWO_HOURS), {}
    ).flow().v_pu[:, 0], equal_nan=True)  # fmt: skip
    assert_like_pandapower(flow, None, 0)


@pytest.mark.parametrize(
    ("name", "engine"),
    [
        ("example_multivoltage", "KLU"),  # three windings, impedance, ward, xward, shunt, gens
        ("mv_oberrhein", "pandapower"),  # two upstream grids, each with a fixed angle
        ("create_cigre_network_mv", "KLU"),
        ("case9", "KLU"),
    ],
)
def test_other_networks_agree_with_pandapower(name: str, engine: str) -> None:
    grid = Grid.from_pandapower(name)
    flow = PowerFlow(grid, nominal_profiles(grid, TWO_HOURS), {"b": str(grid.loads.bus[0])})
    assert engine in flow.engine
    assert_like_pandapower(flow, None, 0)
    assert_like_pandapower(flow, plan_for(flow, 10, 20), 1)


def test_voltage_dependent_loads_fall_back_to_pandapower(tmp_path: Path) -> None:
    net = pn.case33bw()
    net.load["const_z_p_percent"] = 60.0
    net.load["const_z_q_percent"] = 60.0
    pp.to_json(net, str(tmp_path / "net.json"))
    grid = Grid.from_json(tmp_path / "net.json")
    flow = PowerFlow(grid, nominal_profiles(grid, TWO_HOURS), {"b": str(grid.buses.label[9])})
    assert flow.flow().attrs["engine"] == "pandapower Newton"
    assert_like_pandapower(flow, plan_for(flow, 50, 50), 1)


def test_a_charge_raises_import_and_lowers_voltage(street_flow: PowerFlow) -> None:
    idle = street_flow.flow()
    charge = plan_for(street_flow, 1, 1)
    flow = street_flow.flow(charge)
    more = flow.p_exchange_kw - idle.p_exchange_kw
    assert (more > float(charge[:, 0].sum())).all()  # the losses rise as well
    assert (flow.v_pu.min("bus") < idle.v_pu.min("bus")).all()
    assert (street_flow.flow(-charge).p_exchange_kw < idle.p_exchange_kw).all()
    absorbed = street_flow.flow(0 * charge, charge)
    assert (absorbed.q_exchange_kvar > idle.q_exchange_kvar).all()


def test_the_exported_net_has_one_storage_for_each_battery(street_flow: PowerFlow) -> None:
    plan = plan_for(street_flow, 1, 3)
    net = street_flow.to_pandapower(plan, 7)
    assert net.storage.name.tolist() == street_flow.batteries.tolist()
    np.testing.assert_allclose(net.storage.p_mw, plan[:, 7] / 1e3)
    idle = street_flow.to_pandapower(None, 7)
    for each in (net, idle):
        pp.runpp(each, numba=False)
    assert net.res_ext_grid.p_mw.sum() > idle.res_ext_grid.p_mw.sum()


def test_power_balances_in_every_interval(town_flow: PowerFlow) -> None:
    plan = plan_for(town_flow, -4, 4)
    flow, profiles = town_flow.flow(plan), town_flow.profiles
    demand = profiles.load_kw.sum("load") - profiles.generation_kw.sum("generator")
    wanted = demand + plan.sum("battery") + flow.losses_kw
    np.testing.assert_allclose(flow.p_exchange_kw, wanted, rtol=0, atol=1e-2)


@settings(max_examples=10)
@given(seed=st.integers(0, 2**16))
def test_only_what_stands_at_a_bus_matters(street_flow: PowerFlow, seed: int) -> None:
    """Batteries at one bus may trade power among themselves without the grid noticing."""
    plan = plan_for(street_flow, -3, 3, seed)
    bus = street_flow.storage_bus
    mean = xr.zeros_like(plan)
    for at in np.unique(bus):
        mean[bus == at] = plan[bus == at].mean("battery")
    xr.testing.assert_allclose(street_flow.flow(plan), street_flow.flow(mean), atol=1e-4, rtol=1e-6)


def test_no_solution_is_a_finding_for_that_interval_alone(street_flow: PowerFlow) -> None:
    plan = plan_for(street_flow, -1, 1)
    absurd = plan.copy()
    absurd[:, [5, 47]] = 1e5
    flow, plain = street_flow.flow(absurd), street_flow.flow(plan)
    assert np.flatnonzero(~flow.converged).tolist() == [5, 47]
    solved = flow.isel(time=flow.converged.to_numpy())
    xr.testing.assert_allclose(solved, plain.isel(time=flow.converged.to_numpy()), atol=1e-4)
    broken = flow.isel(time=5)
    assert all(np.isnan(broken[name]).all() for name in broken.data_vars if name != "converged")


def test_pandapowers_engine_leaves_other_intervals_alone_too() -> None:
    grid = Grid.from_pandapower("mv_oberrhein")
    flow = PowerFlow(grid, nominal_profiles(grid, TWO_HOURS), {"b": str(grid.loads.bus[0])})
    absurd = plan_for(flow, 0, 0)
    absurd[:, 0] = 1e7
    assert flow.flow(absurd).converged.to_numpy().tolist() == [False, True]


def test_some_intervals_are_the_same_as_all(street_flow: PowerFlow) -> None:
    plan = plan_for(street_flow, -4, 4)
    some = street_flow.flow(plan.isel(time=[3, 40]), intervals=[3, 40])
    xr.testing.assert_allclose(some, street_flow.flow(plan).isel(time=[3, 40]), atol=1e-4)
    xr.testing.assert_allclose(
        street_flow.flow(intervals=slice(0, 2)), street_flow.flow().isel(time=[0, 1]), atol=1e-4
    )


def test_the_same_call_gives_the_same_bits(town_flow: PowerFlow) -> None:
    plan = plan_for(town_flow, -4, 4)
    xr.testing.assert_identical(town_flow.flow(plan), town_flow.flow(plan))


def test_the_callers_copy_of_the_baseline_is_his_own(street_flow: PowerFlow) -> None:
    street_flow.flow().v_pu[:] = 0.0
    assert (street_flow.flow().v_pu > 0.9).all()


def test_wrong_plans_are_refused(street_flow: PowerFlow) -> None:
    plan = plan_for(street_flow, -1, 1)
    with pytest.raises(GridError, match=r"p_kw\.battery"):
        street_flow.flow(plan.isel(battery=slice(None, None, -1)))
    with pytest.raises(GridError, match=r"p_kw\.time"):
        street_flow.flow(plan.isel(time=slice(0, 3)))
    plan[2, 3] = np.nan
    with pytest.raises(GridError, match="1 values: must all be finite"):
        street_flow.flow(plan)


def test_wrong_places_and_profiles_are_refused(street: Grid, day: TimeGrid) -> None:
    profiles = simbench_profiles(street, day)
    with pytest.raises(GridError, match=r"did you mean 'LV6\.201 Bus"):
        PowerFlow(street, profiles, {"b": "LV6.201 Bsu 4"})
    with pytest.raises(GridError, match=r"load_kw\.load"):
        PowerFlow(street, profiles.isel(load=slice(1, None)), {})
    with pytest.raises(GridError, match="generation_kw: is missing"):
        PowerFlow(street, profiles.drop_vars("generation_kw"), {})


def test_a_battery_at_a_dead_bus_is_refused(tmp_path: Path) -> None:
    net = pn.case33bw()
    net.bus.loc[32, "in_service"] = False
    pp.to_json(net, str(tmp_path / "net.json"))
    grid = Grid.from_json(tmp_path / "net.json")
    profiles = nominal_profiles(grid, TWO_HOURS)
    label = str(grid.buses.label[32])
    with pytest.raises(GridError, match="connected to the upstream grid"):
        PowerFlow(grid, profiles, {"b": label})
    flow = PowerFlow(grid, profiles, {}).flow()
    assert np.isnan(flow.v_pu.sel(bus=label)).all()
    assert flow.converged.all()
    assert_like_pandapower(PowerFlow(grid, profiles, {}), None, 0)


@given(kw=st.floats(-1e6, 1e6))
def test_units_and_signs(kw: float) -> None:
    assert units.kw_from_mw(units.mw_from_kw(kw)) == pytest.approx(kw)
    assert units.kw_from_mw(2.5) == 2500.0
    assert units.fraction_from_percent(84.5) == pytest.approx(0.845)
    taken = np.array([kw])
    assert units.injection_mva(taken, 2 * taken)[0] == pytest.approx(-(kw + 2j * kw) / 1e3)


def test_a_battery_everywhere(street: Grid, day: TimeGrid) -> None:
    flow = battery_at_every_load(street, day)
    assert flow.batteries.size == len(street.loads) == 135
