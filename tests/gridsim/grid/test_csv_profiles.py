"""Profiles from a CSV file: what they mean, and every way to be refused."""

from __future__ import annotations

import datetime as dt
import os
from typing import TYPE_CHECKING

import numpy as np
import pytest

from gridsim.grid import Grid, GridError, csv_profiles
from twins.timegrid import TimeGrid

if TYPE_CHECKING:
    from pathlib import Path

HALF = TimeGrid.uniform("2023-01-16T00:00Z", dt.timedelta(minutes=30), 4)


@pytest.fixture(scope="module")
def grid() -> Grid:
    return Grid.from_pandapower("create_cigre_network_mv", with_der="pv_wind")


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
    with pytest.raises(GridError, match="states no UTC offset"):
        csv_profiles(path, grid, day)
    with pytest.raises(GridError, match="time_zone: Europe/Berln"):
        csv_profiles(path, grid, day, time_zone="Europe/Berln")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["time,{load}"], "must have at least one row"),
        (["when,{load}", "2023-01-16T00:00Z,1"], "no such column; it must hold the times"),
        (["time,Laod 1", "2023-01-16T00:00Z,1"], "neither a load nor a generator"),
        (["time,{load},{load}", "2023-01-16T00:00Z,1,2"], "names a column twice"),
        (["time,{load}", "2023-01-16T00:00Z,", "2023-01-16T01:00Z,1"], "row 2: blank"),
        (["time,{load}", "2023-01-16T00:00Z,nan", "2023-01-16T01:00Z,1"], "row 2: nan"),
        (["time,{load}", "2023-01-16T00:00Z,1", "2023-01-16T01:00Z,inf"], "row 3: inf"),
        (
            ["time,{load}", "2023-01-16T00:00Z,1", "2023-01-16T01:00Z,-2"],
            "row 3: -2: .* at least 0",
        ),
        (["time,{gen}", "2023-01-16T00:00Z,-1", "2023-01-16T01:00Z,1"], "row 2: -1: .* at least 0"),
        (["time,{load}", "yesterdayZ,1", "2023-01-16T01:00Z,1"], "must be an ISO 8601 time"),
        (["time,{load}", "2023-01-16T00:00Z,1", "2023-01-16T01:00,1"], "states no UTC offset"),
        (
            ["time,{load}", *(f"2023-01-16T0{h}:00Z,1" for h in (0, 1, 2, 4))],
            "a gap: the row at 2023-01-16T03:00:00Z must follow",
        ),
        (
            ["time,{load}", *(f"2023-01-16T0{h}:00Z,1" for h in (0, 1, 1, 2, 3))],
            "must follow 2023-01-16T01:00:00Z by 3600 seconds",
        ),
        (["time,{load}", "2023-01-16T01:00Z,1", "2023-01-16T02:00Z,1"], "must cover 2023-01-16T00"),
        (["time,{load}", "2023-01-16T00:00Z,1,2,3"], "must be a CSV file"),
    ],
)
def test_faults_are_named(tmp_path: Path, grid: Grid, rows: list[str], message: str) -> None:
    load, generator = grid.loads.label[0], grid.generators.label[0]
    path = write(tmp_path, *(row.format(load=load, gen=generator) for row in rows))
    with pytest.raises(GridError, match=message):
        csv_profiles(path, grid, HALF)


def test_all_bad_numbers_and_columns_come_in_one_error(tmp_path: Path, grid: Grid) -> None:
    load = grid.loads.label[0]
    path = write(tmp_path, f"time,{load},x,y", "2023-01-16T00:00Z,a,1,b", "2023-01-16T01:00Z,,1,1")
    with pytest.raises(GridError) as raised:
        csv_profiles(path, grid, HALF)
    assert len(raised.value.faults) == 5


def test_missing_and_huge_files_are_refused_unread(tmp_path: Path, grid: Grid) -> None:
    with pytest.raises(GridError, match="no such file"):
        csv_profiles(tmp_path / "none.csv", grid, HALF)
    with (tmp_path / "huge.csv").open("wb") as file:
        os.truncate(file.fileno(), 10_000_000_000)
    with pytest.raises(GridError, match="10000000000 bytes: at most 200000000 bytes are read"):
        csv_profiles(tmp_path / "huge.csv", grid, HALF)
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00time")
    with pytest.raises(GridError, match="must be a CSV file in UTF-8"):
        csv_profiles(tmp_path / "binary.csv", grid, HALF)
