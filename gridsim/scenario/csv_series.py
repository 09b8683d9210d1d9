"""Time series in CSV files: times that name their clock, gaps that are faults, interval means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from twins.timegrid import iso

if TYPE_CHECKING:
    import numpy.typing as npt

    from gridsim.scenario.csv_table import CsvTable
    from twins.timegrid import TimeGrid

    Floats = npt.NDArray[np.float64]
    Times = npt.NDArray[np.datetime64]

_OFFSET = r"\d[T ].*(?:[zZ]|[+-]\d\d(?::?\d\d)?)$"
_UTC_NS = "datetime64[ns]"


@dataclass(frozen=True, eq=False)
class Rows:
    """The rows of a series that a horizon needs.

    Attributes:
        position: shape (R,), which rows of the file.
        start, end: shape (R,), the time each row holds for, UTC.
    """

    position: npt.NDArray[np.int64]
    start: Times
    end: Times

    def mask(self, count: int) -> npt.NDArray[np.bool_]:
        """Whether each of the file's `count` rows is needed."""
        needed = np.zeros(count, dtype=bool)
        needed[self.position] = True
        return needed


def read_times(table: CsvTable, column: str, zone: str | None) -> Times:
    """The times of a series in UTC, NaT where one is no time; they must increase.

    Args:
        table: takes the faults: no time, a time without offset and without `zone`, a time that the
            zone's clock skips or shows twice, a time that does not follow the one before.
        column: with the times.
        zone: IANA zone of times without an offset. In the hour that a clock shows twice the first
            row is summer time and its repetition is not.
    """
    text = pd.Series(table.columns[column], dtype=str)
    stated = text.str.contains(_OFFSET, regex=True).to_numpy(dtype=bool)
    times = np.full(len(text), "NaT", dtype=_UTC_NS)
    times[stated] = _parsed(text[stated], utc=True)
    wall = _parsed(text[~stated], utc=False)
    naive = ~stated
    is_time = np.zeros(len(text), dtype=bool)
    is_time[stated] = ~np.isnat(times[stated])
    is_time[naive] = ~np.isnat(wall)
    table.note(~is_time, column, "must be a time such as 2023-01-16T00:00Z")
    if zone is None:
        allowed = "states no UTC offset; name the file's time_zone"
        table.note(naive & is_time, column, allowed)
    else:
        times[naive] = _from_wall(table, column, np.flatnonzero(naive), wall, zone)
    _check_increasing(table, column, times)
    return times


def rows_for(
    table: CsvTable, times: Times, grid: TimeGrid, step_minutes: int | None, what: str
) -> Rows:
    """The rows that hold for some part of `grid`; a part without one is a fault.

    Args:
        table: takes the faults.
        times: start of each row, increasing, no NaT.
        grid: the intervals.
        step_minutes: the longest time that a row holds; without it, the usual distance of two rows
            around the horizon. A row ends early where the next one starts.
        what: what is missing in a gap, in words.
    """
    first, last = grid.instants[0], grid.instants[-1]
    low = max(int(np.searchsorted(times, first, side="right")) - 1, 0)
    high = max(int(np.searchsorted(times, last, side="left")), low)
    start = times[low:high]
    if step_minutes is not None:
        step = np.timedelta64(step_minutes, "m").astype("timedelta64[ns]")
    else:
        step = _usual_step(times[max(low - 2, 0) : high + 2])
    following = np.append(times[low + 1 : high + 1], np.datetime64("2262-01-01", "ns"))
    end = np.minimum(start + step, following[: start.size])
    holds = end > first
    rows = Rows(np.arange(low, high)[holds], start[holds], end[holds])
    _check_gaps(table, rows, grid, what)
    return rows


def interval_means(values: Floats, rows: Rows, grid: TimeGrid) -> Floats:
    """Means over the grid's intervals, weighted by the time that each row holds.

    Args:
        values: shape (R, ...), one for each of `rows`, which leave no gap in `grid`.

    Returns:
        Shape (T, ...). An interval that lies in one row has exactly that row's value.
    """
    inside = (rows.start > grid.instants[0]) & (rows.start < grid.instants[-1])
    cuts = np.union1d(grid.instants, rows.start[inside])
    interval = np.searchsorted(grid.instants, cuts[:-1], side="right") - 1
    row = np.searchsorted(rows.start, cuts[:-1], side="right") - 1
    length = np.diff(cuts).astype(np.int64).astype(np.float64)
    whole = np.diff(grid.instants).astype(np.int64).astype(np.float64)
    share = length / whole[interval]
    means = np.zeros((len(grid), *values.shape[1:]))
    np.add.at(means, interval, values[row] * share.reshape(-1, *[1] * (values.ndim - 1)))
    return means


def _parsed(text: pd.Series, *, utc: bool) -> Times:
    """ISO 8601 times; NaT where the text is none."""
    parsed = pd.to_datetime(text, format="ISO8601", utc=utc, errors="coerce")
    if utc:
        parsed = parsed.dt.tz_localize(None)
    return np.array(parsed.to_numpy(), dtype=_UTC_NS)


def _from_wall(table: CsvTable, column: str, rows: Any, wall: Times, zone: str) -> Times:
    """Times read from a zone's clock, in UTC."""
    clock = pd.DatetimeIndex(wall)

    def utc(*, summer: bool) -> Times:
        flags = np.full(len(clock), summer)
        moved = clock.tz_localize(zone, ambiguous=flags, nonexistent="NaT")
        return np.array(moved.tz_convert("UTC").tz_localize(None).to_numpy(), dtype=_UTC_NS)

    first, second = utc(summer=True), utc(summer=False)
    twice = first != second
    twice &= ~np.isnat(first)
    repeated = clock.duplicated(keep="first")
    alone = twice & ~clock.duplicated(keep=False)
    skipped = np.isnat(first) & ~np.isnat(wall)

    def note(wrong: npt.NDArray[np.bool_], allowed: str) -> None:
        in_file = np.zeros(len(table), dtype=bool)
        in_file[rows[wrong]] = True
        table.note(in_file, column, allowed)

    note(skipped, f"does not exist: the clock of {zone} skips it")
    note(alone, f"is ambiguous: the clock of {zone} shows it twice, the file only once")
    return np.where(twice & repeated, second, first)


def _check_increasing(table: CsvTable, column: str, times: Times) -> None:
    known = np.flatnonzero(~np.isnat(times))
    step = np.diff(times[known]).astype(np.int64)
    for wrong, allowed in (
        (step == 0, "stands twice"),
        (step < 0, "is earlier than the row before"),
    ):
        in_file = np.zeros(times.size, dtype=bool)
        in_file[known[1:][wrong]] = True
        table.note(in_file, column, allowed)


def _usual_step(times: Times) -> np.timedelta64:
    """The most frequent distance of neighbouring rows; an hour where there are too few."""
    distances = np.diff(times)
    if distances.size == 0:
        return np.timedelta64(3_600_000_000_000, "ns")
    values, counts = np.unique(distances, return_counts=True)
    return np.timedelta64(values[int(np.argmax(counts))])


def _check_gaps(table: CsvTable, rows: Rows, grid: TimeGrid, what: str) -> None:
    """Note each part of the horizon that no row holds for."""
    covered_to = np.append(grid.instants[0], rows.end)
    next_start = np.append(rows.start, grid.instants[-1])
    for at in np.flatnonzero(next_start > covered_to)[:50]:
        missing = f"{iso(covered_to[at])} to {iso(next_start[at])}"
        table.faults.add(f"{table.path.name}, {what}", missing, "no row holds for this time")
