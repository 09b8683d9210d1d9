"""Demand and generation from a CSV file: one column of times, one column for each element."""

from __future__ import annotations

import csv
import warnings
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import pandas as pd

from gridsim.grid.errors import GridError, grid_fault
from gridsim.grid.profiles import profile_dataset
from twins.faults import FaultList, did_you_mean
from twins.timegrid import iso

if TYPE_CHECKING:
    import numpy.typing as npt
    import xarray as xr

    from gridsim.grid.network import Grid
    from twins.timegrid import TimeGrid

    Floats = npt.NDArray[np.float64]
    Times = npt.NDArray[np.datetime64]

CSV_BYTES_MAX = 200_000_000
_SHOWN_MAX = 20


def csv_profiles(
    path: str | Path,
    grid: Grid,
    time_grid: TimeGrid,
    *,
    time_column: str = "time",
    time_zone: str | None = None,
) -> xr.Dataset:
    """Profiles from a CSV file, as interval means on `time_grid`.

    Every column but the time column is named after a load (kW taken) or a static generator (kW fed
    in), neither of them negative. Elements without a column are zero. A load's reactive power keeps
    the ratio that the grid file's nominal powers have. A row holds from its time to the next row's;
    the rows must be evenly spaced and cover `time_grid`.

    Args:
        path: the file, at most 200 MB.
        grid: whose elements the columns name.
        time_grid: the intervals.
        time_column: name of the column of times (starts of the rows' intervals).
        time_zone: whose clock the times follow, e.g. ``Europe/Berlin``; not needed where each time
            states its offset. On the day of a repeated hour its rows come twice, in order.

    Raises:
        GridError: file missing or too large, unknown columns, bad times or numbers, gaps.
    """
    path = Path(path)
    faults = FaultList(f"profiles {path}")
    frame = _read(path, time_column, faults)
    _check_columns(frame, grid, time_column, faults)
    starts = _times(frame[time_column], time_zone, faults)
    values = _numbers(frame.drop(columns=time_column), faults)
    faults.raise_if_any(GridError)
    instants = _instants(starts, time_grid, faults)
    faults.raise_if_any(GridError)
    means = _interval_means(values.to_numpy(dtype=np.float64), instants, time_grid)
    columns = [str(name) for name in values.columns]
    load_kw = _place(means, columns, grid.loads.label)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.where(grid.loads.p_kw != 0, grid.loads.q_kvar / grid.loads.p_kw, 0.0)
    return profile_dataset(
        grid,
        time_grid,
        load_kw,
        load_kw * ratio[:, np.newaxis],
        _place(means, columns, grid.generators.label),
        {"source": path.name},
    )


def _read(path: Path, time_column: str, faults: FaultList) -> pd.DataFrame:
    """The file as text, once its size and header are known to be sound."""
    if not path.is_file():
        faults.add("path", str(path), "no such file")
    elif (size := path.stat().st_size) > CSV_BYTES_MAX:
        faults.add("size", f"{size} bytes", f"at most {CSV_BYTES_MAX} bytes are read")
    faults.raise_if_any(GridError)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header = next(csv.reader(file), [])
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # a row longer than the header
            frame = pd.read_csv(
                path, dtype=str, encoding="utf-8-sig", keep_default_na=False, index_col=False
            )
    except (ValueError, csv.Error, pd.errors.ParserWarning) as error:
        allowed = "must be a CSV file in UTF-8"
        raise grid_fault(faults.source, "content", str(error), allowed) from error
    for name in sorted({name for name in header if header.count(name) > 1}):
        faults.add("header", name, "names a column twice")
    if time_column not in header:
        hint = did_you_mean(time_column, header)
        faults.add("header", time_column, "no such column; it must hold the times", hint)
    if frame.empty:
        faults.add("rows", "", "must have at least one row")
    faults.raise_if_any(GridError)
    return frame


def _check_columns(frame: pd.DataFrame, grid: Grid, time_column: str, faults: FaultList) -> None:
    loads, generators = (set(map(str, t.label)) for t in (grid.loads, grid.generators))
    for name in frame.columns.drop(time_column):
        if name in loads and name in generators:
            faults.add("header", name, "is the name of a load and of a generator")
        elif name not in loads and name not in generators:
            hint = did_you_mean(name, loads | generators)
            faults.add("header", name, "is neither a load nor a generator of the grid", hint)


def _times(column: pd.Series, time_zone: str | None, faults: FaultList) -> Times:
    """Row starts in UTC; faults where a time cannot be placed."""
    stated = column.str.contains(r"(?:Z|[+-]\d\d:?\d\d)$")
    if not stated.all() and (time_zone is None or stated.any()):
        at = int(np.flatnonzero(~stated)[0])
        allowed = "states no UTC offset; write 2023-01-16T00:00Z, or name a time_zone for all"
        faults.add(f"time, row {at + 2}", column.iloc[at], allowed)
        return np.array([], dtype="datetime64[ns]")
    parsed = pd.to_datetime(column, format="ISO8601", errors="coerce", utc=bool(stated.all()))
    for at in np.flatnonzero(parsed.isna())[:_SHOWN_MAX]:
        faults.add(f"time, row {at + 2}", column.iloc[at], "must be an ISO 8601 time")
    if faults:
        return np.array([], dtype="datetime64[ns]")
    if not stated.all():
        try:
            local = parsed.dt.tz_localize(ZoneInfo(str(time_zone)), ambiguous="infer")
        except (ZoneInfoNotFoundError, ValueError, TypeError) as error:
            faults.add("time_zone", f"{time_zone}: {error}", "must place every time of the file")
            return np.array([], dtype="datetime64[ns]")
        parsed = local.dt.tz_convert("UTC")
    return parsed.dt.tz_localize(None).to_numpy(dtype="datetime64[ns]")


def _numbers(frame: pd.DataFrame, faults: FaultList) -> pd.DataFrame:
    """The values; text, blanks, NaN, infinities and negative ones become faults with their place.

    Negative power is refused although a power flow would take it: as demand of a site no plan does.
    """
    numbers: pd.DataFrame = frame.apply(pd.to_numeric, errors="coerce").astype(np.float64)
    values = numbers.to_numpy(dtype=np.float64)
    bad = ~(np.isfinite(values) & (values >= 0))
    for row, column in list(zip(*np.nonzero(bad), strict=True))[:_SHOWN_MAX]:
        where = f"{frame.columns[column]}, row {row + 2}"
        allowed = "must be at least 0 kW; feed-in and demand have columns of their own"
        if not np.isfinite(values[row, column]):
            allowed = "must be a finite number in kW"
        faults.add(where, frame.iat[row, column] or "blank", allowed)
    if (left := int(bad.sum()) - _SHOWN_MAX) > 0:
        faults.add("values", f"{left} more", "must be finite numbers of at least 0 kW")
    return numbers


def _instants(starts: Times, time_grid: TimeGrid, faults: FaultList) -> Times:
    """Starts and the last end; gaps and what is not covered become faults."""
    steps = np.diff(starts)
    lengths, counts = np.unique(steps, return_counts=True)
    step = lengths[counts.argmax()] if steps.size else np.timedelta64(1, "h")
    for at in np.flatnonzero(steps != step)[:_SHOWN_MAX]:
        allowed = f"a gap: the row at {iso(starts[at] + step)} must follow"
        if steps[at] < step:
            allowed = f"must follow {iso(starts[at])} by {step.astype('timedelta64[s]')}"
        faults.add(f"time, row {at + 3}", iso(starts[at + 1]), allowed)
    instants = np.append(starts, starts[-1] + step)
    first, last = time_grid.instants[0], time_grid.instants[-1]
    if instants[0] > first or instants[-1] < last:
        found = f"{iso(instants[0])} to {iso(instants[-1])}"
        faults.add("time", found, f"must cover {iso(first)} to {iso(last)}")
    return instants


def _interval_means(values: Floats, instants: Times, time_grid: TimeGrid) -> Floats:
    """Means over the grid's intervals of a step function, by differences of its integral."""
    seconds = np.diff(instants).astype(np.int64) / 1e9
    integral = np.zeros((instants.size, values.shape[1]))
    np.cumsum(values * seconds[:, np.newaxis], axis=0, out=integral[1:])
    x, at = (a.astype(np.int64) / 1e9 for a in (instants, time_grid.instants))
    x, at = x - x[0], at - x[0]
    edges = np.array([np.interp(at, x, column) for column in integral.T]).reshape(-1, at.size)
    return np.asarray(np.diff(edges, axis=1) / np.diff(at), dtype=np.float64)


def _place(means: Floats, columns: list[str], labels: npt.NDArray[np.str_]) -> Floats:
    """Rows of `means` where an element has a column, zeros elsewhere."""
    placed = np.zeros((labels.size, means.shape[1]))
    position = {str(label): at for at, label in enumerate(labels)}
    for row, name in enumerate(columns):
        if name in position:
            placed[position[name]] = means[row]
    return placed
