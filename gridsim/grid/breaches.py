"""Finding every limit that a flow breaks, and telling what the batteries have to do with it.

A limit that is broken without batteries is *pre-existing*: it is reported apart, and a plan must
not make it worse. `Breaches` keeps all findings as columns, because a bad plan on a large grid
breaks thousands of limits; iterating over it gives one `Breach` after the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, overload

import numpy as np

from gridsim.grid.errors import GridError
from twins.faults import FaultList

if TYPE_CHECKING:
    import numpy.typing as npt
    import xarray as xr

    from gridsim.grid.network import Grid

    Floats = npt.NDArray[np.float64]
    Booleans = npt.NDArray[np.bool_]

BUS, LINE, TRANSFORMER, FLOW = "bus", "line", "transformer", "flow"
LIMIT_TOLERANCE = 1e-9
"""A limit that is met to rounding is not broken."""
V_PU_WORSE_MIN = 1e-6
LOADING_WORSE_MIN = 1e-4
"""By how much a pre-existing breach may grow before it counts as worsened: solver accuracy."""


@dataclass(frozen=True)
class Breach:
    """One limit broken in one interval.

    Attributes:
        kind: ``"bus"``, ``"line"``, ``"transformer"``, or ``"flow"`` where the power flow did not
            converge (then `value`, `limit` and `baseline` are NaN).
        element: label, "" for a flow.
        time: start of the interval, UTC.
        interval: its position on the flow's ``time``.
        value: voltage per unit, or loading as a fraction.
        limit: what was allowed.
        baseline: the value without batteries.
        side: ``"high"`` or ``"low"``.
        preexisting: the limit is broken without batteries too.
        worsened: pre-existing, and the batteries make it worse; where there is no flow even without
            batteries, any battery that moves counts as that.
    """

    kind: str
    element: str
    time: np.datetime64
    interval: int
    value: float
    limit: float
    baseline: float
    side: str
    preexisting: bool
    worsened: bool

    @property
    def counts(self) -> bool:
        """Whether the batteries are to blame: a new breach, or a worsened one."""
        return self.worsened or not self.preexisting


@dataclass(frozen=True, eq=False)
class Breaches(Sequence[Breach]):
    """Findings of one flow as columns of equal length, ordered by kind, element and time.

    Attributes:
        kind, element, time, interval, value, limit, baseline, side, preexisting, worsened: as in
            `Breach`.
        position: row of the element in its table, -1 for a flow.
    """

    kind: npt.NDArray[np.str_]
    element: npt.NDArray[np.str_]
    position: npt.NDArray[np.int64]
    time: npt.NDArray[np.datetime64]
    interval: npt.NDArray[np.int64]
    value: Floats
    limit: Floats
    baseline: Floats
    side: npt.NDArray[np.str_]
    preexisting: Booleans
    worsened: Booleans

    def __len__(self) -> int:
        return int(self.kind.size)

    @overload
    def __getitem__(self, at: int) -> Breach: ...
    @overload
    def __getitem__(self, at: slice) -> Breaches: ...
    def __getitem__(self, at: int | slice) -> Breach | Breaches:
        if isinstance(at, slice):
            return self.select(np.arange(len(self))[at])
        return Breach(
            kind=str(self.kind[at]),
            element=str(self.element[at]),
            time=self.time[at],
            interval=int(self.interval[at]),
            value=float(self.value[at]),
            limit=float(self.limit[at]),
            baseline=float(self.baseline[at]),
            side=str(self.side[at]),
            preexisting=bool(self.preexisting[at]),
            worsened=bool(self.worsened[at]),
        )

    def __iter__(self) -> Iterator[Breach]:
        return (self[at] for at in range(len(self)))

    def __repr__(self) -> str:
        counts = ", ".join(f"{kind} {(self.kind == kind).sum()}" for kind in np.unique(self.kind))
        return f"Breaches({len(self)}: {counts}; {int(self.counts.sum())} count)"

    @property
    def counts(self) -> Booleans:
        """Which findings the batteries are to blame for: new ones and worsened ones."""
        return self.worsened | ~self.preexisting

    @property
    def counting(self) -> Breaches:
        """The findings that the batteries are to blame for."""
        return self.select(np.flatnonzero(self.counts))

    @property
    def excused(self) -> Breaches:
        """Limits that are broken without batteries, and not made worse."""
        return self.select(np.flatnonzero(~self.counts))

    def select(self, at: npt.NDArray[np.int64]) -> Breaches:
        """The findings at these positions."""
        return Breaches(*(getattr(self, field.name)[at] for field in fields(self)))


def find_breaches(
    flow: xr.Dataset, baseline: xr.Dataset, grid: Grid, at_rest: Booleans | None = None
) -> Breaches:
    """Every limit of `grid` that `flow` breaks, and every interval that did not converge.

    Args:
        flow: from `PowerFlow.flow` with batteries.
        baseline: from `PowerFlow.flow` without batteries, for the same intervals.
        grid: whose limits hold.
        at_rest: shape (T,), intervals in which every battery stands still; None for none. A flow
            without a solution is excused there alone: of any other nobody knows what it breaks.

    Raises:
        GridError: the two flows are not of the same elements and intervals.
    """
    _check_alike(flow, baseline, grid)
    if at_rest is not None and at_rest.shape != (flow.sizes["time"],):
        faults = FaultList("flow and baseline")
        faults.add("at_rest", f"shape {at_rest.shape}", "must be one value for each interval")
        faults.raise_if_any(GridError)
    buses, lines, transformers = grid.buses, grid.lines, grid.transformers
    parts = [
        _high(flow, baseline, "v_pu", BUS, buses.label, buses.v_pu_max, V_PU_WORSE_MIN),
        _low(flow, baseline, "v_pu", BUS, buses.label, buses.v_pu_min, V_PU_WORSE_MIN),
        _high(
            flow, baseline, "line_loading", LINE, lines.label, lines.loading_max, LOADING_WORSE_MIN
        ),
        _high(
            flow,
            baseline,
            "transformer_loading",
            TRANSFORMER,
            transformers.label,
            transformers.loading_max,
            LOADING_WORSE_MIN,
        ),
        _not_converged(flow, baseline, at_rest),
    ]
    return Breaches(
        *(
            np.concatenate([getattr(part, field.name) for part in parts])
            for field in fields(Breaches)
        )
    )


def _high(
    flow: xr.Dataset,
    baseline: xr.Dataset,
    name: str,
    kind: str,
    labels: npt.NDArray[np.str_],
    limit: Floats,
    worse_min: float,
) -> Breaches:
    value, without = flow[name].to_numpy(), baseline[name].to_numpy()
    time = flow["time"].to_numpy()
    return _beyond(value, without, limit, 1.0, kind, labels, time, worse_min)


def _low(
    flow: xr.Dataset,
    baseline: xr.Dataset,
    name: str,
    kind: str,
    labels: npt.NDArray[np.str_],
    limit: Floats,
    worse_min: float,
) -> Breaches:
    value, without = flow[name].to_numpy(), baseline[name].to_numpy()
    time = flow["time"].to_numpy()
    return _beyond(value, without, limit, -1.0, kind, labels, time, worse_min)


def _beyond(
    value: Floats,
    without: Floats,
    limit: Floats,
    sign: float,
    kind: str,
    labels: npt.NDArray[np.str_],
    time: npt.NDArray[np.datetime64],
    worse_min: float,
) -> Breaches:
    """Where `sign * value` exceeds `sign * limit`; NaN (a dead bus, no solution) breaks nothing."""
    column = limit[:, np.newaxis]
    element, interval = np.nonzero(sign * value > sign * column + LIMIT_TOLERANCE)
    found, before, bound = value[element, interval], without[element, interval], limit[element]
    preexisting = sign * before > sign * bound + LIMIT_TOLERANCE
    return Breaches(
        kind=np.full(element.size, kind),
        element=labels[element],
        position=element,
        time=time[interval],
        interval=interval,
        value=found,
        limit=bound,
        baseline=before,
        side=np.full(element.size, "high" if sign > 0 else "low"),
        preexisting=preexisting,
        worsened=preexisting & (sign * (found - before) > worse_min),
    )


def _not_converged(flow: xr.Dataset, baseline: xr.Dataset, at_rest: Booleans | None) -> Breaches:
    interval = np.flatnonzero(~flow["converged"].to_numpy())
    preexisting = ~baseline["converged"].to_numpy()[interval]
    moving = np.ones(interval.size, dtype=bool) if at_rest is None else ~at_rest[interval]
    nothing = np.full(interval.size, np.nan)
    return Breaches(
        kind=np.full(interval.size, FLOW),
        element=np.full(interval.size, ""),
        position=np.full(interval.size, -1),
        time=flow["time"].to_numpy()[interval],
        interval=interval,
        value=nothing,
        limit=nothing,
        baseline=nothing,
        side=np.full(interval.size, "high"),
        preexisting=preexisting,
        worsened=preexisting & moving,
    )


def _check_alike(flow: xr.Dataset, baseline: xr.Dataset, grid: Grid) -> None:
    faults = FaultList("flow and baseline")
    labels = {"bus": grid.buses, "line": grid.lines, "transformer": grid.transformers}
    for name, dataset in (("flow", flow), ("baseline", baseline)):
        for dim, table in labels.items():
            if not np.array_equal(dataset[dim].to_numpy(), table.label):
                faults.add(f"{name}.{dim}", f"{dataset.sizes[dim]} labels", "must be the grid's")
    if not np.array_equal(flow["time"].to_numpy(), baseline["time"].to_numpy()):
        faults.add("baseline.time", f"{baseline.sizes['time']} intervals", "must be the flow's")
    faults.raise_if_any(GridError)
