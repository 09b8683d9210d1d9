"""Runs on disk: one file in, the same run out; anything else is refused in words."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import xarray as xr

from gridsim.run.storage import RunFileError, load_run

if TYPE_CHECKING:
    from pathlib import Path

    from gridsim.run.result import Run


@pytest.fixture(scope="module")
def saved(crowded_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return crowded_run.save(tmp_path_factory.mktemp("saved") / "run.nc")


def test_a_run_comes_back_as_it_was(crowded_run: Run, saved: Path) -> None:
    again = load_run(saved)
    assert again.name == crowded_run.name
    assert again.summary == crowded_run.summary
    assert again.scenario_text == crowded_run.scenario_text
    assert again.passed == crowded_run.passed
    assert again.plan.digest == crowded_run.plan.digest
    assert again.plan.certificate == crowded_run.plan.certificate
    xr.testing.assert_identical(again.data, crowded_run.data)


def test_a_street_comes_back_as_it_was(street_run: Run, tmp_path: Path) -> None:
    again = load_run(street_run.save(tmp_path / "run.nc"))
    xr.testing.assert_identical(again.data, street_run.data)
    assert again.plan.problem.digest == street_run.plan.problem.digest


def test_another_program_can_read_it(saved: Path, crowded_run: Run) -> None:
    with xr.open_dataset(saved, engine="h5netcdf") as data:
        assert data.attrs["schema_version"] == 1
        assert np.array_equal(data["p_kw"], crowded_run.data["p_kw"])
        assert data["p_kw"].attrs["units"] == "kW"


def refused(path: Path) -> str:
    with pytest.raises(RunFileError) as caught:
        load_run(path)
    return str(caught.value)


def test_what_is_no_run_is_refused(tmp_path: Path, saved: Path) -> None:
    assert "No such file" in refused(tmp_path / "none.nc")
    text = tmp_path / "text.nc"
    text.write_text("not a run")
    assert "must be a run saved by gridsim" in refused(text)
    assert "must be a run saved by gridsim" in refused(tmp_path)
    half = tmp_path / "half.nc"
    half.write_bytes(saved.read_bytes()[: saved.stat().st_size // 2])
    assert "must be a run saved by gridsim" in refused(half)
    empty = tmp_path / "empty.nc"
    empty.touch()
    assert "must be a run saved by gridsim" in refused(empty)


def altered(saved: Path, path: Path, **changes: Any) -> Path:
    with xr.open_dataset(saved, engine="h5netcdf") as data:
        data = data.load()
    for name, value in changes.items():
        if name.startswith("document_"):
            data = data.drop_vars(name)
            if value is not None:
                data[name] = (f"other_{name}", value)
        else:
            data.attrs[name] = value
    data.to_netcdf(path, engine="h5netcdf")
    return path


def test_foreign_and_future_files_are_refused(tmp_path: Path, saved: Path) -> None:
    foreign = tmp_path / "foreign.nc"
    xr.Dataset({"temperature": ("x", [1.0])}).to_netcdf(foreign, engine="h5netcdf")
    assert "must be a run of version 1" in refused(foreign)
    future = altered(saved, tmp_path / "future.nc", schema_version=2)
    assert "2: must be a run of version 1" in refused(future)
    lacking = altered(saved, tmp_path / "lacking.nc", document_plan=None)
    assert "document_plan" in refused(lacking)
    spoilt = altered(saved, tmp_path / "spoilt.nc", document_plan=np.zeros(9, dtype=np.uint8))
    assert "document_plan" in refused(spoilt)


def test_an_interrupted_save_leaves_what_was_there(
    crowded_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.nc"
    path.write_text("old")
    spoilt = dataclasses.replace(crowded_run, summary={"gap": float("nan")})
    with pytest.raises(ValueError, match="JSON"):
        spoilt.save(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


# The summary ---------------------------------------------------------------------------------

KEYS = {
    "schema_version", "scenario", "day", "start", "end", "intervals", "currency", "sites",
    "batteries", "energy_kwh", "power_kw", "verdict", "findings", "preexisting", "finding_counts",
    "rounds", "cost", "saving_percent", "wear", "equivalent_cycles", "voltage_pu", "loading",
    "breaches", "profit", "profit_bound", "gap", "gap_absolute", "worst_violation", "bound_source",
    "profit_bound_ratings", "share_of_ratings_bound", "worst_grid_excess", "status", "stop_reason",
    "resolution_w", "cells_left", "seconds", "compile_seconds", "peak_memory_mb", "hashes",
    "versions", "seed", "machine",
}  # fmt: skip
CASES = {"plan", "without", "price_only"}
INNER = {
    ("cost",): {"no_battery", "self_consumption", "plan", "plan_as_planned", "price_only"},
    ("saving_percent",): {"no_battery", "self_consumption"},
    ("voltage_pu", "lowest"): CASES,
    ("voltage_pu", "highest"): CASES,
    ("loading", "line"): CASES,
    ("loading", "transformer"): CASES,
    ("breaches",): CASES,
    **{("breaches", case): {"bus", "line", "transformer", "flow"} for case in CASES},
    ("seconds",): {
        "load", "build", "solve", "extract", "certify", "round", "prove", "power_flow",
        "linearise", "replay", "judge", "to_verdict", "total",
    },
    ("hashes",): {"plan", "problem", "fleet", "grid", "versions", "verdict", "scenario"},
    ("machine",): {"cores", "python", "platform"},
    ("rounds", 0): {
        "round", "findings", "profit", "worst", "rows", "narrowed", "seconds",
    },
}  # fmt: skip


@pytest.mark.parametrize("name", ["street_run", "crowded_run"])
def test_the_summary_has_its_documented_keys(name: str, request: pytest.FixtureRequest) -> None:
    summary = request.getfixturevalue(name).summary
    assert set(summary) >= KEYS
    for path, keys in INNER.items():
        inner: Any = summary
        for key in path:
            inner = inner[key]
        assert set(inner) >= keys, path


@pytest.mark.parametrize("name", ["street_run", "crowded_run"])
def test_the_summary_is_strict_json(name: str, request: pytest.FixtureRequest) -> None:
    summary = request.getfixturevalue(name).summary
    assert json.loads(json.dumps(dict(summary), allow_nan=False)) == summary


def test_the_last_round_is_the_verdict(crowded_run: Run) -> None:
    rounds = crowded_run.summary["rounds"]
    assert [one["round"] for one in rounds] == list(range(1, len(rounds) + 1))
    assert rounds[-1]["findings"] == crowded_run.summary["finding_counts"]
    assert all(one["findings"] for one in rounds[:-1])
    assert all(one["rows"] for one in rounds[1:])


def test_every_array_states_its_unit(street_run: Run) -> None:
    for name, values in street_run.data.data_vars.items():
        if values.dtype.kind == "f":
            assert values.attrs.get("units"), name
