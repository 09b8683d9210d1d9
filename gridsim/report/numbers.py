"""Figures of a summary as text, and how to find them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

NOTHING = "–"


@dataclass(frozen=True)
class Cell:
    """One figure of a table: its text, and the value that it was made from (or None)."""

    text: str
    value: float | None = None


@dataclass(frozen=True)
class Quantity:
    """One figure of a run's summary.

    Attributes:
        label: what it is, without unit.
        path: its keys in the summary, joined by dots.
        unit: what it is shown in; "currency" stands for the run's own.
        decimals: shown places; None for three significant digits.
        scale: shown value over stored value (100 shows a fraction in percent).
    """

    label: str
    path: str
    unit: str = ""
    decimals: int | None = 2
    scale: float = 1.0

    def value(self, summary: Mapping[str, Any]) -> float | None:
        """The value as shown, unrounded; None where the summary has none."""
        found = number(look(summary, self.path))
        return None if found is None else found * self.scale

    def cell(self, summary: Mapping[str, Any]) -> Cell:
        """The value as text."""
        value = self.value(summary)
        return Cell(as_text(value, self.decimals), value)

    def label_with_unit(self, currency: str) -> str:
        """For example "cost with the plan [EUR]"."""
        unit = currency if self.unit == "currency" else self.unit
        return f"{self.label} [{unit}]" if unit else self.label


def look(summary: Mapping[str, Any], path: str) -> Any:
    """What stands at `path`; a mapping of counts becomes their sum; None where nothing stands."""
    found: Any = summary
    for key in path.split("."):
        if not isinstance(found, Mapping) or key not in found:
            return None
        found = found[key]
    return sum(found.values()) if isinstance(found, Mapping) else found


def number(value: Any) -> float | None:
    """`value` as a float if it is a finite number, else None."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def as_text(value: float | None, decimals: int | None) -> str:
    """For example 12345.678 as "12,345.68"; a dash for None."""
    if value is None:
        return NOTHING
    text = f"{value:,.{decimals}f}" if decimals is not None else f"{value:.3g}"
    if not text.strip("-0.,"):  # no negative zero
        text = text.lstrip("-")
    return text.replace("-", "−")
