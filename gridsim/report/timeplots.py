"""Panels over time: price with fleet power, state of charge, voltage band, loading."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Any

import matplotlib.dates as mdates
import numpy as np
import pandas as pd
from matplotlib.ticker import FuncFormatter, PercentFormatter

from gridsim.report.series import gaps, highest, highest_loading, lowest, values
from gridsim.report.style import (
    BLUE,
    GREEN,
    INK,
    LIMIT,
    NEUTRAL,
    PLAN,
    PRICE_ONLY,
    WITHOUT,
    dress,
)

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

    from gridsim.report.series import Floats, Level

CASES = (WITHOUT, PLAN, PRICE_ONLY)  # dots last: they show where they lie on the plan's line
DISTINCT_LIMITS_MAX = 3


def draw_power(axes: Axes, data: xr.Dataset, currency: str) -> Axes:
    """Power of the whole fleet, with the import price on a second scale; returns that scale."""
    dress(axes, "Price and fleet power (charging above zero)", "fleet power, kW")
    lived, alone = (values(data, name).sum(axis=0) for name in ("p_kw", "p_price_only_kw"))
    edges = time_edges(data)
    axes.stairs(lived, edges, baseline=0.0, fill=True, color=BLUE, alpha=0.25, linewidth=0)
    axes.stairs(lived, edges, baseline=None, label="fleet power with the plan", **PLAN.line)
    axes.stairs(alone, edges, baseline=None, label="fleet power by price alone", **PRICE_ONLY.line)
    axes.axhline(0.0, color=INK, linewidth=0.8)
    axes.yaxis.set_major_formatter(FuncFormatter(_thousands))
    prices = axes.twinx()
    dress(prices, "", f"price, {currency}/kWh")
    prices.grid(visible=False)
    prices.spines["right"].set(visible=True, color=GREEN)
    prices.tick_params(axis="y", colors=GREEN, labelcolor=GREEN)
    prices.yaxis.label.set_color(GREEN)
    bought, sold = (values(data, f"price_{way}_per_kwh") for way in ("import", "export"))
    if np.array_equal(bought, sold):
        _steps(prices, edges, bought, "price, import and export", "-")
    else:
        _steps(prices, edges, bought, "import price", "-")
        _steps(prices, edges, sold, "export price", (0, (3, 1.5)))
    return prices


def draw_soc(axes: Axes, data: xr.Dataset) -> None:
    """State of charge of the fleet: the middle battery, the middle half, and all."""
    dress(axes, "State of charge", "share of the capacity")
    edges, soc = time_edges(data), values(data, "soc")
    if soc.shape[0]:
        low, high = lowest(soc), highest(soc)
        quarter, middle, three = np.nanquantile(soc, [0.25, 0.5, 0.75], axis=0)
        axes.fill_between(
            edges, low, high, color=BLUE, alpha=0.15, linewidth=0, label="every battery"
        )
        axes.fill_between(
            edges, quarter, three, color=BLUE, alpha=0.35, linewidth=0, label="middle half of them"
        )
        axes.plot(edges, middle, label="median state of charge", **PLAN.line)
    axes.set_ylim(0.0, 1.0)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))


def draw_voltage(axes: Axes, data: xr.Dataset, level: Level, title: str = "") -> None:
    """Lowest and highest voltage over the buses of one level, in all three power flows."""
    dress(axes, title or f"Voltage, {level.kv:g} kV, {level.buses.sum():,} buses", "per unit")
    edges = time_edges(data)
    for case in CASES:
        v_pu = values(data, "v_pu", case)[level.buses]
        low, high = lowest(v_pu), highest(v_pu)
        if case is PLAN:
            _band(axes, edges, low, high)
        axes.stairs(low, edges, baseline=None, label=case.label, **case.line)
        axes.stairs(high, edges, baseline=None, **case.line)
    for limit in (level.v_pu_min, level.v_pu_max):
        if np.isfinite(limit):
            axes.axhline(limit, label="limit", **LIMIT)
    axes.margins(y=0.08)
    _shade_gaps(axes, data, edges)


def draw_loading(axes: Axes, data: xr.Dataset, kinds: tuple[str, ...], title: str) -> None:
    """The highest loading over all elements of `kinds`, in all three power flows."""
    dress(axes, title, "share of the rating")
    edges = time_edges(data)
    for case in CASES:
        loading = highest_loading(data, case, kinds)
        axes.stairs(loading, edges, baseline=None, label=case.label, **case.line)
    limits = np.unique(np.concatenate([values(data, f"{kind}_loading_max") for kind in kinds]))
    limits = limits[np.isfinite(limits)]
    if limits.size > DISTINCT_LIMITS_MAX:
        limits = limits[:1]
    for limit in limits:
        axes.axhline(limit, label="limit", **LIMIT)
    axes.set_ylim(bottom=0.0)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    _shade_gaps(axes, data, edges)


def label_time(axes: Axes, data: xr.Dataset, *, narrow: bool) -> None:
    """Ticks and label of the shared time axis, always in UTC."""
    instants = pd.DatetimeIndex(data["instant"].to_numpy())
    edges = time_edges(data)
    axes.set_xlim(edges[0], edges[-1])
    locator = mdates.AutoDateLocator(  # type: ignore[no-untyped-call]
        tz=UTC, minticks=3, maxticks=6 if narrow else 10
    )
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(
        mdates.ConciseDateFormatter(  # type: ignore[no-untyped-call]
            locator, tz=UTC, show_offset=False, formats=_CONCISE, zero_formats=_CONCISE_ZERO
        )
    )
    first, last = instants[0], instants[-1] - pd.Timedelta(1, "ns")
    days = f"{first:%d %B %Y}".lstrip("0")
    if first.date() != last.date():
        days += " to " + f"{last:%d %B %Y}".lstrip("0")
    axes.set_xlabel(f"time in UTC, {days}", color=INK, fontsize=9)


_CONCISE = ["%Y", "%b", "%d %b", "%H:%M", "%H:%M", "%S.%f"]
_CONCISE_ZERO = ["", "%Y", "%b", "%d %b", "%H:%M", "%H:%M"]


def time_edges(data: xr.Dataset) -> Floats:
    """The instants as matplotlib counts time."""
    days = mdates.date2num(data["instant"].to_numpy())  # type: ignore[no-untyped-call]
    return np.asarray(days, dtype=np.float64)


def _steps(axes: Axes, edges: Floats, price: Floats, label: str, dashes: Any) -> None:
    style = {"color": GREEN, "linestyle": dashes, "linewidth": 1.4}
    axes.stairs(price, edges, baseline=None, label=label, **style)


def _band(axes: Axes, edges: Floats, low: Floats, high: Floats) -> None:
    low, high = (np.append(values, values[-1:]) for values in (low, high))
    axes.fill_between(edges, low, high, step="post", color=BLUE, alpha=0.22, linewidth=0)


def _shade_gaps(axes: Axes, data: xr.Dataset, edges: Floats) -> None:
    missing = np.any([gaps(data, case) for case in CASES], axis=0)
    for at in np.flatnonzero(missing):
        axes.axvspan(
            edges[at],
            edges[at + 1],
            facecolor="none",
            edgecolor=NEUTRAL,
            hatch="////",
            linewidth=0,
            label="a power flow did not converge",
        )


def _thousands(value: float, _: object) -> str:
    return f"{value:,.0f}".replace("-", "−")
