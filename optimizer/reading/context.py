"""What every part of a reading shares: the horizon, the names of groups, and the list of faults."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from optimizer.problem import NO_GROUP
from twins.faults import did_you_mean
from twins.timegrid import INTERVALS_MAX, TimeGrid, iso

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import numpy.typing as npt

    from optimizer.document import ProblemDocument, TimeDocument
    from twins.faults import Fault, FaultList

    Floats = npt.NDArray[np.float64]

_HOUR = dt.timedelta(hours=1)
_MINUTES_MIN, _MINUTES_MAX = 1 / 60, 366 * 24 * 60.0
_HORIZON_YEARS_MAX = 50
_HORIZON_MINUTES_MAX = _HORIZON_YEARS_MAX * _MINUTES_MAX
_OWN_KEYS = {
    ("batteries", "end_value_per_kwh"): "energy_value_pieces",
    ("batteries", "end_value_kwh"): "energy_value_pieces",
    ("sessions", "battery_id"): "session_id",
    ("sites", "group_id"): "site_id",
    ("peak_charges", "limit_id"): "peak_id",
}
"""Keys of the file that have another name in the normal form."""


@dataclass(frozen=True)
class Remains:
    """What is left of a file when its badly formed parts are put aside.

    Attributes:
        places: for each list of the document, the rows that are left, by their place in the file.
        has_units: no battery, session or generator was put aside.
        has_groups: neither the sites nor the groups were put aside as a whole.
        has_time: the horizon is well formed.
        refused_ids: names of sites and groups whose rows were put aside.
    """

    places: Mapping[str, list[int]]
    has_units: bool = True
    has_groups: bool = True
    has_time: bool = True
    refused_ids: frozenset[str] = frozenset()


class Reading:
    """One document on its way to the normal form.

    Where parts of it were put aside the rest is still read, for the faults that it has of its own;
    what cannot be judged without those parts is passed over in silence.

    Attributes:
        document: the well-formed rows.
        grid: the horizon, or a stand-in.
        battery_index: index of every battery and session by its id.
        generator_index: index of every generator by its id.
        group_index: index of every site and group by its id; sites come first.
        has_time: whether `grid` is the file's own.
        faults: the caller's list; what only shows here is added to it.
    """

    def __init__(self, document: ProblemDocument, remains: Remains, faults: FaultList) -> None:
        self.document = document
        self.faults = faults
        self._remains = remains
        grid = read_grid(document.time, faults) if remains.has_time else None
        self.has_time = grid is not None
        self.grid = TimeGrid.uniform("2000-01-01T00:00Z", _HOUR, 1) if grid is None else grid
        names = [site.site_id for site in document.sites]
        names += [group.group_id for group in document.groups]
        self.battery_index = _places(
            [row.battery_id for row in document.batteries]
            + [row.session_id for row in document.sessions]
        )
        self.generator_index = _places([row.generator_id for row in document.generators])
        self.group_index = _places(names)

    def in_document_words(self, faults: Iterable[Fault]) -> Iterator[Fault]:
        """Faults of the normal form with the keys that the file has, where those are others."""
        for fault in faults:
            if fault.where == "batteries" and not self._remains.has_units:
                continue  # there are some; they are badly formed
            table, _, key = fault.where.partition(".")
            name, bracket, slot = key.partition("[")
            own = _OWN_KEYS.get((table.partition("[")[0], name), name)
            yield replace(fault, where=f"{table}.{own}{bracket}{slot}" if key else table)

    def where(self, name: str) -> tuple[str, ...]:
        """Paths of the rows of the list `name` in the file."""
        return tuple(f"{name}[{at}]" for at in self._remains.places[name])

    def series(self, values: Sequence[float], where: str, *, instants: bool = False) -> Floats:
        """`values` at full length; a wrong length is a fault and the first value stands in."""
        length = len(self.grid) + instants
        if len(values) == 1:
            return np.full(length, values[0])
        if len(values) != length and not self.has_time:
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
        return self.between(values, where, np.inf, "must be at least 0")

    def share(self, values: Sequence[float], where: str) -> Floats:
        """A series of shares."""
        return self.between(values, where, 1.0, "must be a share from 0 to 1")

    def between(self, values: Sequence[float], where: str, most: float, allowed: str) -> Floats:
        """A series from 0 to `most`; what lies outside is a fault, and is moved inside."""
        series = self.series(values, where)
        outside = np.flatnonzero((series < 0) | (series > most))
        if outside.size:
            at = int(outside[0])
            slot = "" if len(values) == 1 else f"[{at}]"
            more = outside.size - 1 if slot else 0
            hint = f"and {more} more in this series" if more else ""
            self.faults.add(f"{where}{slot}", f"{series[at]:g}", allowed, hint)
        return np.asarray(np.minimum(np.abs(series), most))

    def matrix(self, rows: Sequence[Floats], *, instants: bool = False) -> Floats:
        """Rows of full length as one array, also where there are none."""
        length = len(self.grid) + instants
        return np.array(rows, dtype=float).reshape(len(rows), length)

    def group(self, name: str | None, where: str) -> int:
        """Index of a site or group."""
        if name is None:
            return NO_GROUP
        if name not in self.group_index and (
            name in self._remains.refused_ids or not self._remains.has_groups
        ):
            return NO_GROUP  # it is there, and refused for another reason
        if name not in self.group_index:
            hint = did_you_mean(name, self.group_index)
            self.faults.add(where, name, "must be the id of a group or site of this file", hint)
            return NO_GROUP
        return self.group_index[name]

    def unit(self, name: str, index: Mapping[str, int], kind: str, where: str) -> int | None:
        """Place of a unit in `index`, or None (and a fault) where there is none of that name."""
        if name in index:
            return index[name]
        if self._remains.has_units:
            allowed = f"must be the id of a {kind} of this file"
            self.faults.add(where, name, allowed, did_you_mean(name, index))
        return None

    def locate(self, moment: dt.datetime, where: str) -> tuple[int, float] | None:
        """Interval and share of a moment, or None (and a fault) where it is outside."""
        if not self.has_time:
            return None
        try:
            return self.grid.locate(moment)
        except ValueError:
            first, last = (iso(at) for at in self.grid.instants[[0, -1]])
            self.faults.add(where, moment.isoformat(), f"must lie within {first} to {last}")
            return None


def _places(names: Sequence[str]) -> dict[str, int]:
    """Place of each name; of a repeated one the first counts, the repetition is another fault."""
    return {name: at for at, name in reversed(list(enumerate(names)))}


def read_grid(time: TimeDocument, faults: FaultList) -> TimeGrid | None:
    """The horizon, or None and a fault."""
    uniform = (time.start, time.step_minutes, time.count)
    if time.instants is not None:
        if any(part is not None for part in uniform):
            faults.add("time", None, "must have either instants, or start, step_minutes and count")
            return None
        return _listed(time.instants, faults)
    if time.start is None or time.step_minutes is None or time.count is None:
        faults.add("time", None, "must have start, step_minutes and count, or instants")
        return None
    return _uniform(time.start, time.step_minutes, time.count, faults)


def _listed(moments: list[dt.datetime], faults: FaultList) -> TimeGrid | None:
    if not 2 <= len(moments) <= INTERVALS_MAX + 1:
        allowed = f"must hold 2 to {INTERVALS_MAX + 1}: an edge more than there are intervals"
        faults.add("time.instants", f"{len(moments)} moments", allowed)
        return None
    falls = [at for at in range(1, len(moments)) if moments[at] <= moments[at - 1]]
    for at in falls:
        allowed = f"must be later than the one before it, {moments[at - 1].isoformat()}"
        faults.add(f"time.instants[{at}]", moments[at].isoformat(), allowed)
    return None if falls else TimeGrid.from_instants(moments)


def _uniform(start: dt.datetime, minutes: float, count: int, faults: FaultList) -> TimeGrid | None:
    sound = True
    if not 1 <= count <= INTERVALS_MAX:
        faults.add("time.count", str(count), f"must be 1 to {INTERVALS_MAX}")
        sound = False
    if not _MINUTES_MIN <= minutes <= _MINUTES_MAX:
        allowed = f"must be {_MINUTES_MIN:g} to {_MINUTES_MAX:g} (a year)"
        faults.add("time.step_minutes", f"{minutes:g}", allowed)
        sound = False
    if sound and minutes * count > _HORIZON_MINUTES_MAX:
        allowed = f"must be a horizon of at most {_HORIZON_YEARS_MAX} years"
        faults.add("time", f"{count} intervals of {minutes:g} minutes", allowed)
        sound = False
    return TimeGrid.uniform(start, dt.timedelta(minutes=minutes), count) if sound else None
