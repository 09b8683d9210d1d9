"""Building a grid, its tables, its limits; and every way to be refused."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import pandapower as pp
import pandapower.networks as pn
import pytest

from gridsim.grid import Grid, GridError

if TYPE_CHECKING:
    from pathlib import Path


def test_tables_of_the_street(street: Grid) -> None:
    assert [len(t) for t in (street.buses, street.lines, street.transformers)] == [59, 57, 1]
    assert [len(t) for t in (street.loads, street.generators)] == [135, 12]
    assert street.loads.label[0] == "LV6.201 Load 16"
    assert repr(street.buses) == "BusTable(59 rows)"
    assert street.transformers.s_kva.tolist() == [630.0]
    assert set(street.buses.vn_kv) == {0.4, 20.0}
    assert street.loads.p_kw.sum() == pytest.approx(616, abs=5)
    assert np.isfinite(street.buses.x).all()
    assert street.loads.bus[5] in street.buses.label
    assert len(street._net.storage) == 0


def test_limits_are_the_grid_files_own(town: Grid) -> None:
    medium = town.buses.vn_kv == 20.0
    assert set(town.buses.v_pu_min[medium]) == {0.965}
    assert set(town.buses.v_pu_max[medium]) == {1.055}
    assert set(town.buses.v_pu_min[~medium]) == {0.9}
    assert set(town.lines.loading_max) == {1.0}


def test_missing_limits_have_stated_defaults(tmp_path: Path) -> None:
    net = pn.case33bw()
    net.bus = net.bus.drop(columns=["min_vm_pu", "max_vm_pu"])
    net.line["max_loading_percent"] = np.nan
    pp.to_json(net, str(tmp_path / "net.json"))
    grid = Grid.from_json(tmp_path / "net.json")
    assert set(grid.buses.v_pu_min) == {0.9}
    assert set(grid.buses.v_pu_max) == {1.1}
    assert set(grid.lines.loading_max) == {1.0}


def test_limits_can_be_overridden_for_all_or_by_voltage_level(town: Grid) -> None:
    other = town.with_limits(v_pu_min=0.95, v_pu_max={20.0: 1.03}, loading_max={0.4: 0.8})
    medium, low = town.buses.vn_kv == 20.0, town.buses.vn_kv == 0.4
    assert set(other.buses.v_pu_min) == {0.95}
    assert set(other.buses.v_pu_max[medium]) == {1.03}
    assert set(other.buses.v_pu_max[low]) == {1.1}
    assert set(other.lines.loading_max) == {0.8, 1.0}
    assert set(other.transformers.loading_max) == {1.0}  # by their high-voltage side
    assert town.buses.v_pu_min.min() == 0.9
    assert other.digest() != town.digest()


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"v_pu_min": 90.0}, "v_pu_min: 90.0: must be a number from 0.5 to 1.5"),
        ({"loading_max": {20.0: float("nan")}}, r"loading_max\[20.0\]: nan"),
        ({"v_pu_max": {10.0: 1.05}}, "no bus has this voltage; the grid has"),
        ({"v_pu_min": 1.05, "v_pu_max": 0.95}, "must be below v_pu_max"),
        ({"v_pu_min": True}, "must be a number"),
    ],
)
def test_bad_limits_are_refused(street: Grid, limits: dict[str, object], message: str) -> None:
    with pytest.raises(GridError, match=message):
        street.with_limits(**limits)  # type: ignore[arg-type]


def test_a_grid_cannot_be_changed(street: Grid) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        street.source = "other"  # type: ignore[misc]
    with pytest.raises(ValueError, match="read-only"):
        street.buses.v_pu_max[0] = 2.0
    street.net_copy().load["p_mw"] = 0.0
    assert street._net.load.p_mw.sum() > 0


def test_the_digest_follows_the_electrical_content(tmp_path: Path) -> None:
    digests = []
    for change in (None, "name_of_net", "line", "switch"):
        net = pn.case33bw()
        if change == "name_of_net":
            net.name = "other"
        elif change == "line":
            net.line.loc[4, "r_ohm_per_km"] *= 1 + 1e-12
        elif change == "switch":
            pp.create_switch(net, 1, 1, et="l")
        path = tmp_path / f"{change}.json"
        pp.to_json(net, str(path))
        digests.append(Grid.from_json(path).digest())
    assert digests[0] == digests[1] == Grid.from_json(tmp_path / "None.json").digest()
    assert len(set(digests)) == 3
    assert all(len(digest) == 64 for digest in digests)


def test_labels_fall_back_to_the_index_when_names_are_not_unique(tmp_path: Path) -> None:
    net = pn.case33bw()
    net.bus["name"] = ["twice"] * 2 + [f"bus {i}" for i in range(31)]
    net.load["name"] = [f"load at {i}" for i in net.load.bus]
    pp.to_json(net, str(tmp_path / "net.json"))
    grid = Grid.from_json(tmp_path / "net.json")
    assert grid.buses.label[:2].tolist() == ["bus 0", "bus 1"]
    assert grid.loads.label[0] == "load at 1"


def test_unknown_sources_are_refused_with_the_closest_one(tmp_path: Path) -> None:
    with pytest.raises(GridError, match=r"did you mean '1-LV-urban6--2-no_sw'"):
        Grid.from_simbench("1-LV-urban6-2-no_sw")
    with pytest.raises(GridError, match="did you mean 'case33bw'"):
        Grid.from_pandapower("case33bv")
    with pytest.raises(GridError, match="must be a function of"):
        Grid.from_pandapower("create_bus")
    with pytest.raises(GridError, match="arguments must suit case33bw"):
        Grid.from_pandapower("case33bw", size=3)
    with pytest.raises(GridError, match="no such file"):
        Grid.from_json(tmp_path / "none.json")
    with pytest.raises(GridError, match="simbench_storages: keep"):
        Grid.from_simbench("1-LV-urban6--2-no_sw", simbench_storages="keep")  # type: ignore[arg-type]


@pytest.mark.parametrize("content", ["", "no json", '{"a": 1}', "[1, 2]"])
def test_files_that_hold_no_net_are_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "net.json").write_text(content)
    with pytest.raises(GridError, match="must be a net saved with"):
        Grid.from_json(tmp_path / "net.json")


def test_a_base_case_without_solution_is_refused(tmp_path: Path) -> None:
    net = pn.case33bw()
    net.load["p_mw"] *= 100
    pp.to_json(net, str(tmp_path / "net.json"))
    with pytest.raises(GridError, match="must converge at the grid's nominal loads"):
        Grid.from_json(tmp_path / "net.json")
    pp.to_json(pp.create_empty_network(), str(tmp_path / "empty.json"))
    with pytest.raises(GridError, match="base case"):
        Grid.from_json(tmp_path / "empty.json")
