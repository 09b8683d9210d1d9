"""Runs on disk: one NetCDF file that holds figures, arrays, the plan and its problem."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from gridsim.run.result import RUN_SCHEMA_VERSION, Run
from optimizer.plan_file import log_digest, plan_document, plan_from_document
from optimizer.whole_file import whole_file
from twins.faults import FaultList, InvalidInputError

if TYPE_CHECKING:
    import numpy.typing as npt

_DOCUMENTS = ("summary", "plan", "scenario")


class RunFileError(InvalidInputError):
    """A file that is no run of this program, or of a version it does not know."""


def save_run(run: Run, path: str | Path) -> Path:
    """Write a run; an interrupted write leaves no half of a file behind.

    Raises:
        OSError: the folder does not exist or cannot be written.
    """
    path = Path(path)
    documents = {
        "summary": json.dumps(dict(run.summary), allow_nan=False),
        "plan": json.dumps(plan_document(run.plan), allow_nan=False),
        "scenario": run.scenario_text,
    }
    data = run.data.assign(
        {f"document_{name}": (f"byte_{name}", _packed(text)) for name, text in documents.items()}
    )
    data.attrs = {**run.data.attrs, "schema_version": RUN_SCHEMA_VERSION, "scenario": run.name}
    encoding = {
        name: {"zlib": True, "complevel": 3}
        for name, values in run.data.data_vars.items()
        if values.dtype.kind == "f" and values.ndim == 2
    }
    with whole_file(path) as partial:
        data.to_netcdf(partial, engine="h5netcdf", encoding=encoding)
    return path


def load_run(path: str | Path) -> Run:
    """Read a run that `Run.save` has written.

    A problem with another digest than its plan gives is noted in the log and read all the same.

    Raises:
        RunFileError: the file is missing, or it is no run of a known version.
    """
    faults = FaultList(str(path))
    data = _opened(Path(path), faults)
    version = data.attrs.get("schema_version")
    if version != RUN_SCHEMA_VERSION:
        found = None if version is None else str(version)
        faults.add("schema_version", found, f"must be a run of version {RUN_SCHEMA_VERSION}")
        faults.raise_if_any(RunFileError)
    texts = {name: _text(data, f"document_{name}", faults) for name in _DOCUMENTS}
    faults.raise_if_any(RunFileError)
    summary: dict[str, Any] = json.loads(texts["summary"])
    name = str(data.attrs["scenario"])
    data = data.drop_vars([f"document_{document}" for document in _DOCUMENTS])
    for extra in ("schema_version", "scenario"):
        data.attrs.pop(extra)
    content: dict[str, Any] = json.loads(texts["plan"])
    plan = plan_from_document(content, f"{path}, its plan")
    log_digest(content, plan, f"{path}, its plan")
    return Run(name, summary, data, plan, texts["scenario"])


def _opened(path: Path, faults: FaultList) -> xr.Dataset:
    allowed = "must be a run saved by gridsim (NetCDF)"
    try:
        path.stat()  # the reason why a file cannot be opened, in the system's words
        with xr.open_dataset(path, engine="h5netcdf") as file:
            return file.load()
    except OSError as error:
        faults.add("file", error.strerror or "a file of another kind, or a part of one", allowed)
    except (ValueError, KeyError, RuntimeError):
        faults.add("file", "a file of another kind", allowed)
    faults.raise_if_any(RunFileError)
    raise AssertionError("a file that is refused names a fault")


def _text(data: xr.Dataset, name: str, faults: FaultList) -> str:
    """One packed document, or "" and a fault."""
    if name not in data:
        faults.add(name, None, "is missing")
        return ""
    try:
        return _unpacked(data[name].to_numpy())
    except (zlib.error, UnicodeDecodeError):
        faults.add(name, "damaged bytes", "must be what gridsim has written")
        return ""


def _packed(text: str) -> npt.NDArray[np.uint8]:
    return np.frombuffer(zlib.compress(text.encode(), 3), dtype=np.uint8)


def _unpacked(content: npt.NDArray[np.uint8]) -> str:
    return zlib.decompress(content.tobytes()).decode()
