"""Profiles from a CSV file: what they mean, and every way to be refused."""

from __future__ import annotations

import datetime as dt
import gzip
import os
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import xarray as xr

from gridsim.grid import Grid
from gridsim.scenario import ScenarioError
from gridsim.scenario.profiles import read_profiles
from gridsim.scenario.sections import CsvProfiles
from twins.faults import FaultList
from twins.timegrid import TimeGrid

if TYPE_CHECKING:
    from pathlib import Path

HALF = TimeGrid.uniform("2023-01-16T00:00Z", dt.timedelta(minutes=30), 4)


@pytest.fixture(scope="module")
def grid() -> Grid:
    return Grid.from_pandapower("create_cigre_network_mv", with_der="pv_wind")


def csv_profiles(path: Path, grid: Grid, time_grid: TimeGrid, **keys: Any) -> xr.Dataset:
    """What a scenario's section of this file means."""
    faults = FaultList("scenario")
    section = CsvProfiles.model_validate({"path": str(path), **keys})
    read = read_profiles(section, grid, time_grid, faults)
    faults.raise_if_any(ScenarioError)
    assert read is not None
    return read


def write(path: Path, *rows: str) -> Path:
    (path / "profiles.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path / "profiles.csv"


def test_hourly_rows_become_interval_means(tmp_path: Path, grid: Grid) -> None:
    load, generator = grid.loads.label[2], grid.generators.label[0]
    path = write(
        tmp_path,
        f"time,{load},{generator}",
        "2023-01-16T00:00Z,10,1",
        "2023-01-16T01:00Z,20,3",
        "2023-01-16T02:00Z,40,5",
    )
    at = [dt.datetime(2023, 1, 16, tzinfo=dt.UTC) + dt.timedelta(minutes=m) for m in (0, 45, 90)]
    profiles = csv_profiles(path, grid, TimeGrid.from_instants(at))
    assert profiles.load_kw.sel(load=load).to_numpy() == pytest.approx([10, (15 * 10 + 600) / 45])
    assert profiles.generation_kw.sel(generator=generator).to_numpy() == pytest.approx([1, 7 / 3])
    ratio = grid.loads.q_kvar[2] / grid.loads.p_kw[2]
    assert profiles.load_kvar.sel(load=load).to_numpy() == pytest.approx(
        ratio * profiles.load_kw.sel(load=load).to_numpy()
    )
    assert float(np.abs(profiles.load_kw).sum()) == pytest.approx(
        float(profiles.load_kw.sel(load=load).sum())
    )


def test_local_times_of_the_long_day_need_their_zone(tmp_path: Path, grid: Grid) -> None:
    load = grid.loads.label[0]
    rows = [f"2023-10-29T{h:02d}:00,{v}" for v, h in enumerate([0, 1, 2, 2, 3, 4])]
    path = write(tmp_path, f"time,{load}", *rows)
    day = TimeGrid.uniform("2023-10-28T22:00Z", dt.timedelta(hours=1), 6)
    profiles = csv_profiles(path, grid, day, time_zone="Europe/Berlin")
    assert profiles.load_kw.sel(load=load).to_numpy() == pytest.approx(range(6))
    with pytest.raises(ScenarioError, match="states no UTC offset"):
        csv_profiles(path, grid, day)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["time,{load}"], "2023-01-16T00:00:00Z to 2023-01-16T02:00:00Z: no row holds"),
        (["when,{load}", "2023-01-16T00:00Z,1"], "no such column in profiles.csv; it must hold"),
        (["time,Laod 1", "2023-01-16T00:00Z,1"], "neither a load nor a generator"),
        (["time,{load},{load}", "2023-01-16T00:00Z,1,2"], "names two columns"),
        (["time,{load}", "2023-01-16T00:00Z,", "2023-01-16T01:00Z,1"], "line 2, {load}: is blank"),
        (["time,{load}", "2023-01-16T00:00Z,nan", "2023-01-16T01:00Z,1"], "line 2, {load}: nan"),
        (["time,{load}", "2023-01-16T00:00Z,1", "2023-01-16T01:00Z,inf"], "line 3, {load}: inf"),
        (
            ["time,{load}", "2023-01-16T00:00Z,1", "2023-01-16T01:00Z,-2"],
            "line 3, {load}: -2: must be at least 0 kW",
        ),
        (
            ["time,{gen}", "2023-01-16T00:00Z,-1", "2023-01-16T01:00Z,1"],
            "line 2, {gen}: -1: must be at least 0 kW",
        ),
        (["time,{load}", "yesterdayZ,1", "2023-01-16T01:00Z,1"], "must be a time such as"),
        (["time,{load}", "2023-01-16T00:00Z,1", "2023-01-16T01:00,1"], "states no UTC offset"),
        (
            ["time,{load}", *(f"2023-01-16T{m}Z,1" for m in ("00:00", "00:30", "01:30", "02:00"))],
            "2023-01-16T01:00:00Z to 2023-01-16T01:30:00Z: no row holds for this time",
        ),
        (["time,{load}", *(f"2023-01-16T0{h}:00Z,1" for h in (0, 1, 1, 2))], "stands twice"),
        (
            ["time,{load}", "2023-01-16T01:00Z,1", "2023-01-16T02:00Z,1"],
            "2023-01-16T00:00:00Z to 2023-01-16T01:00:00Z: no row holds",
        ),
        (["time,{load}", "2023-01-16T00:00Z,1,2,3"], "must be a CSV file"),
    ],
)
def test_faults_are_named(tmp_path: Path, grid: Grid, rows: list[str], message: str) -> None:
    names = {"load": grid.loads.label[0], "gen": grid.generators.label[0]}
    path = write(tmp_path, *(row.format(**names) for row in rows))
    with pytest.raises(ScenarioError, match=re.escape(message.format(**names))):
        csv_profiles(path, grid, HALF)


def test_all_bad_numbers_and_columns_come_in_one_error(tmp_path: Path, grid: Grid) -> None:
    load = grid.loads.label[0]
    path = write(tmp_path, f"time,{load},x,y", "2023-01-16T00:00Z,a,1,b", "2023-01-16T01:00Z,,1,1")
    with pytest.raises(ScenarioError) as raised:
        csv_profiles(path, grid, HALF)
    assert len(raised.value.faults) == 5


def test_a_packed_file_means_the_same(tmp_path: Path, grid: Grid) -> None:
    path = write(
        tmp_path, f"time,{grid.loads.label[0]}", *(f"2023-01-16T0{h}:00Z,{h}" for h in (0, 1))
    )
    packed = tmp_path / "profiles.csv.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    xr.testing.assert_equal(csv_profiles(packed, grid, HALF), csv_profiles(path, grid, HALF))


def test_huge_and_binary_files_are_refused(tmp_path: Path, grid: Grid) -> None:
    with (tmp_path / "huge.csv").open("wb") as file:
        os.truncate(file.fileno(), 10_000_000_000)
    with pytest.raises(ScenarioError, match="at most 200 MB are read"):
        csv_profiles(tmp_path / "huge.csv", grid, HALF)
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00time")
    with pytest.raises(ScenarioError, match="must be a CSV file"):
        csv_profiles(tmp_path / "binary.csv", grid, HALF)
