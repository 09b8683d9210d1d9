"""Excess over a rule, and what of it a plan has reported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from optimizer.plan import Plan

    Floats = npt.NDArray[np.float64]

_NS_PER_MS = 1_000_000


@dataclass(frozen=True, eq=False)
class Excess:
    """Unreported excess over one rule; rows are units, columns moments."""

    rule: str
    unit: str
    names: Sequence[str]
    size: Floats
    limit: Floats | float
    moment: Callable[[int, int], np.datetime64]

    def relative(self) -> Floats:
        scale = np.maximum(1.0, np.abs(self.limit))
        # An infinite limit is never exceeded; an infinite excess must not become nan.
        return np.asarray(self.size / np.where(np.isfinite(scale), scale, 1.0))

    def worst(self) -> float:
        """The largest relative excess; 0 where there is none, which is most often so."""
        return float(self.relative().max(initial=0.0)) if self.size.any() else 0.0


class Reported:
    """Looks up the breaches that a plan admits; moments agree to the millisecond."""

    def __init__(self, plan: Plan) -> None:
        self._sizes: dict[tuple[str, str, int, str], float] = {}
        for breach in plan.breaches:
            moment = np.datetime64(breach.at.removesuffix("Z"), "ns")
            key = (breach.kind, breach.name, _milliseconds(moment), breach.side)
            self._sizes[key] = max(breach.size, self._sizes.get(key, 0.0))
        self._kinds = {(kind, name, side) for kind, name, _, side in self._sizes}

    def size(self, kind: str, name: str, moment: np.datetime64, side: str) -> float:
        """Reported size of one breach, 0 where there is none."""
        return self._sizes.get((kind, name, _milliseconds(moment), side), 0.0)

    def table(
        self, kind: str, side: str, names: Sequence[str], moments: npt.NDArray[np.datetime64]
    ) -> Floats:
        """Reported sizes by name and moment."""
        sizes = np.zeros((len(names), len(moments)))
        if not any(kind == known and side == on for known, _, on in self._kinds):
            return sizes
        for row, name in enumerate(names):
            if (kind, name, side) in self._kinds:
                sizes[row] = [self.size(kind, name, moment, side) for moment in moments]
        return sizes


def _milliseconds(moment: np.datetime64) -> int:
    return round(int(moment.astype(np.int64)) / _NS_PER_MS)
