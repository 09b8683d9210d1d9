"""The figures of a run: one for notebooks, and those of the report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gridsim.report.gridmap import voltage_map
from gridsim.report.series import level_nearest_its_limits, levels
from gridsim.report.style import NARROW_IN, PLAN, PRICE_ONLY, WIDE_IN, legend_below, new_figure
from gridsim.report.timeplots import draw_loading, draw_power, draw_soc, draw_voltage, label_time

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from gridsim.report.style import ReportFigure
    from gridsim.run.result import Run


def overview(run: Run) -> ReportFigure:
    """One figure: price with fleet power, state of charge, voltage band and loading.

    The voltage panel shows the level that comes nearest its limits with the plan.
    """
    data = run.data
    figure = new_figure(WIDE_IN, 11.0, paper=True)
    power, soc, voltage, loading = _panels(figure, 4)
    prices = draw_power(power, data, str(run.summary["currency"]))
    draw_soc(soc, data)
    level = level_nearest_its_limits(data)
    if level is not None:
        draw_voltage(voltage, data, level, f"Voltage, {level.kv:g} kV (the nearest its limits)")
    draw_loading(loading, data, ("line", "transformer"), "Highest loading of a line or transformer")
    label_time(loading, data, narrow=False)
    figure.suptitle(f"{run.name}, {run.summary['day']}", fontsize=12)
    legend_below(figure, power, prices, soc, voltage, loading)
    return figure


def figures(run: Run, *, narrow: bool = False) -> dict[str, ReportFigure]:
    """The figures of the report by name, made for a page or, if `narrow`, for a telephone."""
    width = NARROW_IN if narrow else WIDE_IN
    return {
        "plan": _plan(run, width),
        "voltage": _voltage(run, width),
        "loading": _loading(run, width),
        "map": voltage_map(run.data, PLAN, "Worst voltage with the plan", width),
        "map_price_only": voltage_map(
            run.data, PRICE_ONLY, "Worst voltage with a plan by price alone", width
        ),
    }


def _plan(run: Run, width_in: float) -> ReportFigure:
    figure = new_figure(width_in, 5.6)
    power, soc = _panels(figure, 2)
    prices = draw_power(power, run.data, str(run.summary["currency"]))
    draw_soc(soc, run.data)
    label_time(soc, run.data, narrow=figure.is_narrow)
    legend_below(figure, power, prices, soc)
    return figure


def _voltage(run: Run, width_in: float) -> ReportFigure:
    shown = levels(run.data)
    figure = new_figure(width_in, 1.3 + 2.2 * max(len(shown), 1))
    panels = _panels(figure, max(len(shown), 1))
    for axes, level in zip(panels, shown, strict=False):
        draw_voltage(axes, run.data, level)
    label_time(panels[-1], run.data, narrow=figure.is_narrow)
    legend_below(figure, *panels)
    return figure


def _loading(run: Run, width_in: float) -> ReportFigure:
    figure = new_figure(width_in, 5.6)
    line, transformer = _panels(figure, 2)
    draw_loading(line, run.data, ("line",), "Highest loading of a line")
    draw_loading(transformer, run.data, ("transformer",), "Highest loading of a transformer")
    label_time(transformer, run.data, narrow=figure.is_narrow)
    legend_below(figure, line, transformer)
    return figure


def _panels(figure: ReportFigure, count: int) -> list[Axes]:
    """Panels one below the other that share the time axis."""
    return list(figure.subplots(count, 1, sharex=True, squeeze=False)[:, 0])
