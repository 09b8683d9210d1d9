"""Time as N+1 instants, and the N half-open intervals between them.

Power, price and load are interval means on dim ``time`` (N values, labelled by the interval's
start). Stored energy lives at the instants, on dim ``instant`` (N+1 values). The two dims differ in
length on purpose: the classic off-by-one shows in the shape.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

_NS_PER_HOUR = 3_600_000_000_000
INTERVALS_MAX = 1_000_000
"""A bound on the number of intervals: more is a typing mistake, not a horizon."""


def to_utc(moment: dt.datetime | str) -> np.datetime64:
    """A moment with a stated offset, as ``datetime64[ns]`` in UTC.

    Raises:
        ValueError: the text is no ISO 8601 moment, or the moment has no UTC offset. A naive moment
            is refused because nothing says which clock it was read from.
    """
    if isinstance(moment, str):
        try:
            moment = dt.datetime.fromisoformat(moment)
        except ValueError:
            raise ValueError(f"{moment!r} is not an ISO 8601 moment") from None
    if moment.tzinfo is None or moment.utcoffset() is None:
        raise ValueError(f"{moment.isoformat()!r} has no UTC offset; write 2023-01-16T00:00Z")
    naive_utc = moment.astimezone(dt.UTC).replace(tzinfo=None)
    return np.datetime64(naive_utc, "ns")


@dataclass(frozen=True, eq=False)
class TimeGrid:
    """N+1 strictly increasing instants in UTC.

    Attributes:
        instants: shape (N+1,), ``datetime64[ns]`` meaning UTC. Interval ``t`` is
            ``[instants[t], instants[t+1])``.
    """

    instants: npt.NDArray[np.datetime64]

    def __post_init__(self) -> None:
        instants = np.array(self.instants, dtype="datetime64[ns]")
        if instants.ndim != 1 or instants.size < 2:
            raise ValueError(f"a time grid needs at least two instants, got shape {instants.shape}")
        if instants.size - 1 > INTERVALS_MAX:
            raise ValueError(f"{instants.size - 1} intervals; at most {INTERVALS_MAX} are allowed")
        if np.isnat(instants).any():
            raise ValueError("an instant is missing (NaT)")
        falls = np.flatnonzero(np.diff(instants) <= np.timedelta64(0))
        if falls.size:
            at = int(falls[0])
            raise ValueError(
                f"instants must increase: {iso(instants[at + 1])} follows {iso(instants[at])}"
            )
        instants.setflags(write=False)
        object.__setattr__(self, "instants", instants)

    @classmethod
    def uniform(cls, start: dt.datetime | str, step: dt.timedelta, count: int) -> TimeGrid:
        """`count` intervals of equal length `step` from `start` (which must state its offset)."""
        if count < 1 or count > INTERVALS_MAX:
            raise ValueError(f"count must be 1 to {INTERVALS_MAX}, got {count}")
        if step <= dt.timedelta(0):
            raise ValueError(f"step must be positive, got {step}")
        step_ns = np.timedelta64(step, "ns")
        return cls(to_utc(start) + step_ns * np.arange(count + 1))

    @classmethod
    def from_instants(cls, instants: Iterable[dt.datetime | str]) -> TimeGrid:
        """Instants that each state their offset."""
        return cls(np.array([to_utc(moment) for moment in instants], dtype="datetime64[ns]"))

    def __len__(self) -> int:
        """The number of intervals, N."""
        return self.instants.size - 1

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TimeGrid) and np.array_equal(self.instants, other.instants)

    def __hash__(self) -> int:
        return hash(self.instants.tobytes())

    def __repr__(self) -> str:
        return (
            f"TimeGrid({iso(self.instants[0])} to {iso(self.instants[-1])}, {len(self)} intervals)"
        )

    @property
    def starts(self) -> npt.NDArray[np.datetime64]:
        """The intervals' labels, shape (N,)."""
        return self.instants[:-1]

    @cached_property
    def step_h(self) -> npt.NDArray[np.float64]:
        """The intervals' lengths in hours, shape (N,)."""
        nanoseconds = np.diff(self.instants).astype(np.int64)
        hours = nanoseconds / _NS_PER_HOUR
        hours.setflags(write=False)
        return hours

    def locate(self, moment: dt.datetime | str) -> tuple[int, float]:
        """The interval that ends at or contains `moment`, and the share of it that has passed.

        The share is in (0, 1]: an instant between two intervals is the end of the earlier one. The
        grid's own start is ``(0, 0.0)``.

        Raises:
            ValueError: `moment` lies outside the grid, or states no offset.
        """
        at = to_utc(moment)
        if at < self.instants[0] or at > self.instants[-1]:
            raise ValueError(
                f"{iso(at)} lies outside {iso(self.instants[0])} to {iso(self.instants[-1])}"
            )
        if at == self.instants[0]:
            return 0, 0.0
        interval = int(np.searchsorted(self.instants, at, side="left")) - 1
        length = self.instants[interval + 1] - self.instants[interval]
        return interval, float((at - self.instants[interval]) / length)

    def coords(self) -> dict[str, Any]:
        """Coordinates ``time`` (N) and ``instant`` (N+1) for an xarray object."""
        return {"time": self.starts, "instant": self.instants}


def iso(moment: np.datetime64) -> str:
    """RFC 3339 text in UTC, to the second where that is exact: ``2023-01-16T00:00:00Z``."""
    in_seconds = moment.astype("datetime64[s]")
    return f"{in_seconds if in_seconds == moment else moment}Z"
