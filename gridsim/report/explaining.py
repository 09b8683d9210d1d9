"""The picture of one battery's reasons: its power, the prices on both sides of it, its store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gridsim.report.style import (
    BLUE,
    GREEN,
    INK,
    LIMIT,
    NEUTRAL,
    ORANGE,
    PLAN,
    VERMILION,
    WIDE_IN,
    dress,
    legend_below,
    new_figure,
)
from gridsim.report.timeplots import label_time, time_edges

if TYPE_CHECKING:
    import numpy.typing as npt
    import xarray as xr
    from matplotlib.axes import Axes

    from gridsim.report.style import ReportFigure
    from optimizer.explain import Explanation

_LINES = (
    ("charge_cost_per_kwh", "cost of a kWh charged", VERMILION, "-"),
    ("charge_worth_per_kwh", "its worth stored", VERMILION, ":"),
    ("discharge_income_per_kwh", "income of a kWh discharged", GREEN, "-"),
    ("discharge_worth_per_kwh", "its worth if kept", GREEN, ":"),
    ("market_import_per_kwh", "market's import price", NEUTRAL, "--"),
)


def plot_explanation(explanation: Explanation) -> ReportFigure:
    """Power, prices and stored energy of one battery over time.

    It charges where the solid red line lies below the dotted one, and discharges where the solid
    green line lies above its own; where they meet the prices do not decide. Ties are shaded.

    Args:
        explanation: of ``plan.explain(battery_id)``.
    """
    series = explanation.series
    figure = new_figure(WIDE_IN, 7.0, paper=True)
    axes = figure.subplots(3, 1, sharex=True)
    panels: list[Axes] = list(np.atleast_1d(axes))
    edges = time_edges(series)
    _draw_power(panels[0], series, edges)
    _draw_prices(panels[1], series, edges)
    _draw_store(panels[2], series, edges)
    label_time(panels[-1], series, narrow=False)
    figure.suptitle(explanation.battery_id, fontsize=12)
    legend_below(figure, *panels)
    return figure


def _draw_power(axes: Axes, series: xr.Dataset, edges: npt.NDArray[np.float64]) -> None:
    dress(axes, "Power (charging above zero)", "kW")
    power = series["p_kw"].values
    axes.stairs(power, edges, baseline=0.0, fill=True, color=BLUE, alpha=0.25, linewidth=0)
    axes.stairs(power, edges, baseline=None, label="power", **PLAN.line)
    axes.axhline(0.0, color=INK, linewidth=0.8)


def _draw_prices(axes: Axes, series: xr.Dataset, edges: npt.NDArray[np.float64]) -> None:
    units = series["charge_cost_per_kwh"].attrs["units"]
    dress(axes, "What a kWh at the terminals costs and is worth", units)
    for name, label, colour, dashes in _LINES:
        axes.stairs(
            series[name].values, edges, baseline=None, label=label, color=colour, linestyle=dashes
        )
    for at in np.flatnonzero(series["why"].values == "TIE"):
        # One label each: the legend shows each only once.
        axes.axvspan(edges[at], edges[at + 1], color=ORANGE, alpha=0.15, linewidth=0, label="tie")


def _draw_store(axes: Axes, series: xr.Dataset, edges: npt.NDArray[np.float64]) -> None:
    dress(axes, "Stored energy", "kWh")
    axes.plot(edges, series["energy_kwh"].values, label="stored energy", **PLAN.line)
    for name in ("energy_kwh_min", "energy_kwh_max"):
        # The band says nothing about the first instant.
        axes.plot(edges[1:], series[name].values[1:], label="band", **LIMIT)
