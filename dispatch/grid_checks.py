"""What the gate needs of a grid, and what it makes of the limits that are broken there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from dispatch.findings import Check, Finding
from twins.timegrid import iso

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np
    import numpy.typing as npt
    import xarray as xr

    _Key = tuple[Check, str, int, bool]


class GridBreach(Protocol):
    """One limit of the grid that is broken in one interval; see `PowerFlow.breaches`."""

    @property
    def kind(self) -> str:
        """ "bus", "line", "transformer", or "flow" where the flow did not converge."""

    @property
    def element(self) -> str: ...
    @property
    def interval(self) -> int: ...
    @property
    def value(self) -> float: ...
    @property
    def limit(self) -> float: ...
    @property
    def baseline(self) -> float: ...
    @property
    def counts(self) -> bool:
        """False where it is broken without batteries too and the plan does not worsen it."""


class PowerFlow(Protocol):
    """What the gate needs of a grid."""

    @property
    def digest(self) -> str:
        """sha256 of the grid, its limits and its profiles."""

    @property
    def engine(self) -> str:
        """What solves the flow."""

    def flow(self, p_kw: xr.DataArray | None, q_kvar: xr.DataArray | None = None) -> xr.Dataset:
        """AC power flow of every interval, batteries at `p_kw` (battery, time) or at rest."""

    def breaches(
        self, flow: xr.Dataset, baseline: xr.Dataset, at_rest: npt.NDArray[np.bool_]
    ) -> Sequence[GridBreach]:
        """Every limit that is broken in `flow`, with its value at rest.

        `at_rest` tells the intervals in which every battery stands still: a flow without a solution
        counts everywhere else.
        """


_LOADING = "{check} of {element}: {value:.1%}, limit {limit:.1%}"
_GRID_CHECKS = {
    "bus": (Check.VOLTAGE, "pu", "voltage at {element}: {value:.4f} per unit, limit {limit:.4f}"),
    "line": (Check.LINE_LOADING, "1", _LOADING),
    "transformer": (Check.TRANSFORMER_LOADING, "1", _LOADING),
    "flow": (Check.POWER_FLOW, "", "the power flow does not converge"),
}


def grid_findings(
    broken: Iterable[tuple[str, Sequence[GridBreach]]], starts: npt.NDArray[np.datetime64]
) -> tuple[list[Finding], list[Finding]]:
    """What the batteries are to blame for in any of the flows, and what they are not in all.

    Args:
        broken: of each flow its words and the limits that it breaks. A limit that several flows
            break in the same interval is named once, where it is broken most.
        starts: of the intervals.
    """
    against: dict[_Key, Finding] = {}
    accepted: dict[_Key, Finding] = {}
    for words, breaches in broken:
        for breach in breaches:
            found = _finding(breach, starts, words)
            key = (found.check, found.element, breach.interval, found.value > found.limit)
            known = against if breach.counts else accepted
            if key not in known or _excess(found) > _excess(known[key]):
                known[key] = found
    return [*against.values()], [f for key, f in accepted.items() if key not in against]


def _excess(finding: Finding) -> float:
    return abs(finding.value - finding.limit)


def _finding(breach: GridBreach, starts: npt.NDArray[np.datetime64], flow: str) -> Finding:
    """A broken limit in words."""
    check, unit, words = _GRID_CHECKS[breach.kind]
    at = iso(starts[breach.interval])
    words = words.format(
        check=check.value, element=breach.element, value=breach.value, limit=breach.limit
    )
    return Finding(
        check=check,
        element=breach.element,
        at=at,
        value=breach.value,
        limit=breach.limit,
        unit=unit,
        text=f"{words}, at {at}" + (f", {flow}" if flow else ""),
        without_batteries=breach.baseline,
    )
