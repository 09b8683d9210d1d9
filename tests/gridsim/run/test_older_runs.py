"""Runs that another version has written."""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from gridsim.run.storage import load_run

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from gridsim.run.result import Run


def test_a_run_whose_digests_were_reckoned_otherwise_is_read_with_a_note(
    crowded_run: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = crowded_run.save(tmp_path / "run.nc")
    with xr.open_dataset(path, engine="h5netcdf") as data:
        data = data.load()
    plan = json.loads(zlib.decompress(data["document_plan"].to_numpy().tobytes()))
    plan["problem_digest"] = "0" * 64
    packed = np.frombuffer(zlib.compress(json.dumps(plan).encode()), dtype=np.uint8)
    data = data.drop_vars("document_plan").assign(document_plan=("other_bytes", packed))
    older = tmp_path / "older.nc"
    data.to_netcdf(older, engine="h5netcdf")

    assert load_run(older).plan.digest == load_run(path).plan.digest
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith(f"{older}, its plan: the file says problem_digest is 0000")
