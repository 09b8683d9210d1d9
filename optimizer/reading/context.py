"""What every part of a reading shares: the horizon, the names of groups, and the list of faults."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import numpy as np

from optimizer.problem import NO_GROUP
from twins.faults import did_you_mean
from twins.timegrid import TimeGrid

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy.typing as npt

    from optimizer.document import ProblemDocument, TimeDocument
    from twins.faults import FaultList

    Floats = npt.NDArray[np.float64]


class Reading:
    """One document on its way to the normal form.

    Attributes:
        document: the well-formed rows.
        grid: the horizon.
        group_index: index of every site and group by its id; sites come first.
        faults: the caller's list; what only shows here is added to it.
    """

    def __init__(
        self,
        document: ProblemDocument,
        places: Mapping[str, list[int]],
        grid: TimeGrid,
        faults: FaultList,
    ) -> None:
        self.document = document
        self.grid = grid
        self.faults = faults
        self._places = places
        names = [site.site_id for site in document.sites]
        names += [group.group_id for group in document.groups]
        # Of a repeated name the first row counts; the repetition is a fault of its own.
        self.group_index = {name: at for at, name in reversed(list(enumerate(names)))}

    def where(self, name: str) -> tuple[str, ...]:
        """Paths of the rows of the list `name` in the file."""
        return tuple(f"{name}[{at}]" for at in self._places[name])

    def series(self, values: Sequence[float], where: str, *, instants: bool = False) -> Floats:
        """`values` at full length; a wrong length is a fault and the first value stands in."""
        length = len(self.grid) + instants
        if len(values) == 1:
            return np.full(length, values[0])
        if len(values) != length:
            unit = "instant" if instants else "interval"
            allowed = f"must be one number, or {length}: one for each {unit}"
            self.faults.add(where, f"{len(values)} numbers", allowed)
            return np.full(length, values[0])
        return np.array(values, dtype=float)

    def open_series(self, values: Sequence[float | None], where: str, missing: float) -> Floats:
        """A series in which None stands for `missing`."""
        return self.series([missing if v is None else v for v in values], where)

    def magnitude(self, values: Sequence[float], where: str) -> Floats:
        """A series that must not be negative."""
        series = self.series(values, where)
        if (series < 0).any():
            self.faults.add(where, f"{series.min():g}", "must be at least 0")
        return series

    def matrix(self, rows: Sequence[Floats], *, instants: bool = False) -> Floats:
        """Rows of full length as one array, also where there are none."""
        length = len(self.grid) + instants
        return np.array(rows, dtype=float).reshape(len(rows), length)

    def group(self, name: str | None, where: str) -> int:
        """Index of a site or group."""
        if name is None:
            return NO_GROUP
        if name not in self.group_index:
            hint = did_you_mean(name, self.group_index)
            self.faults.add(where, name, "must be the id of a group or site of this file", hint)
            return NO_GROUP
        return self.group_index[name]

    def locate(self, moment: dt.datetime, where: str) -> tuple[int, float] | None:
        """Interval and share of a moment, or None (and a fault) where it is outside."""
        try:
            return self.grid.locate(moment)
        except ValueError as error:
            self.faults.add(where, None, str(error))
            return None


def read_grid(time: TimeDocument, faults: FaultList) -> TimeGrid | None:
    """The horizon, or None and a fault."""
    uniform = (time.start, time.step_minutes, time.count)
    if time.instants is not None:
        if any(part is not None for part in uniform):
            faults.add("time", None, "must have either instants, or start, step_minutes and count")
            return None
        moments = time.instants
        return _try_grid(lambda: TimeGrid.from_instants(moments), faults)
    if time.start is None or time.step_minutes is None or time.count is None:
        faults.add("time", None, "must have start, step_minutes and count, or instants")
        return None
    start, minutes, count = time.start, time.step_minutes, time.count
    return _try_grid(lambda: TimeGrid.uniform(start, dt.timedelta(minutes=minutes), count), faults)


def _try_grid(make: Callable[[], TimeGrid], faults: FaultList) -> TimeGrid | None:
    try:
        return make()
    except (ValueError, OverflowError) as error:
        faults.add("time", None, str(error))
        return None
