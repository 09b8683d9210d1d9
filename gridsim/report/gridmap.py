"""The grid as a map: each bus coloured by its worst voltage, each overloaded branch marked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.colors import TwoSlopeNorm
from matplotlib.lines import Line2D

from gridsim.report.layout import branch_ends, bus_xy
from gridsim.report.series import (
    buses_with_batteries,
    outside_limits,
    overloaded,
    values,
    worst_voltage,
)
from gridsim.report.style import INK, NEUTRAL, PANEL, VERMILION, WIDE_IN, new_figure

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection

    from gridsim.report.series import Floats
    from gridsim.report.style import Case, ReportFigure

DENSE = 1_500  # buses; above it the map is pixels, or the file would grow too large to open
DEVIATION_PU_MIN = 0.05


class _Marks(NamedTuple):
    """Sizes in points (lines) and square points (buses)."""

    with_battery: float
    without: float
    ring: float
    line: float
    hot_line: float
    edge: float


_SPARSE_MARKS = _Marks(with_battery=30.0, without=9.0, ring=75.0, line=0.9, hot_line=2.9, edge=0.5)
_DENSE_MARKS = _Marks(with_battery=5.0, without=1.5, ring=9.0, line=0.45, hot_line=1.3, edge=0.0)


def voltage_map(data: xr.Dataset, case: Case, title: str, width_in: float) -> ReportFigure:
    """The map of one power flow; `words.map_note` says how the buses came to their places."""
    xy, _ = bus_xy(data)
    figure = new_figure(width_in, width_in * _height_share(xy, width_in))
    axes = figure.add_subplot()
    axes.set_title(title, loc="left", color=INK, fontsize=10, fontweight="bold")
    axes.set(facecolor=PANEL, xticks=[], yticks=[])
    axes.set_aspect("equal", adjustable="datalim")  # the panel keeps its shape, the map is centred
    axes.spines[:].set_visible(False)
    marks = _DENSE_MARKS if len(xy) > DENSE else _SPARSE_MARKS
    dense = len(xy) > DENSE
    _draw_branches(axes, data, case, xy, marks, dense)
    dots = _draw_buses(axes, data, case, xy, marks, dense)
    bar = figure.colorbar(dots, ax=axes, location="bottom", shrink=0.7, aspect=40, extend="both")
    bar.set_label("voltage where it is farthest from nominal, per unit", color=INK, fontsize=9)
    bar.ax.tick_params(colors=INK, labelcolor=INK, labelsize=8.5)
    bar.outline.set_edgecolor(NEUTRAL)
    figure.legend(
        handles=_legend(marks),
        loc="outside lower center",
        ncols=1 if figure.is_narrow else 4,
        frameon=False,
        fontsize=8.5,
        labelcolor=INK,
    )
    return figure


def _height_share(xy: Floats, width_in: float) -> float:
    extent = np.nanmax(xy, axis=0) - np.nanmin(xy, axis=0) if np.isfinite(xy).any() else np.ones(2)
    share = float(extent[1] / extent[0]) if extent[0] > 0 else 1.0
    return float(np.clip(share, 0.45, 0.85 if width_in >= WIDE_IN else 1.1)) + 0.75 / width_in * 1.6


def _draw_branches(
    axes: Axes, data: xr.Dataset, case: Case, xy: Floats, marks: _Marks, dense: bool
) -> None:
    ends = branch_ends(data)
    hot = np.concatenate([overloaded(data, case, kind) for kind in ("line", "transformer")])
    whole = (ends >= 0).all(axis=1)
    for flags, colour, width in (
        (whole & ~hot, NEUTRAL, marks.line),
        (whole & hot, VERMILION, marks.hot_line),
    ):
        segments = xy[ends[flags]]
        lines = LineCollection(list(segments), colors=colour, linewidths=width, zorder=1)
        lines.set_rasterized(dense)
        axes.add_collection(lines)


def _draw_buses(
    axes: Axes, data: xr.Dataset, case: Case, xy: Floats, marks: _Marks, dense: bool
) -> PathCollection:
    voltage = worst_voltage(data, case)
    drawn = np.isfinite(voltage) & np.isfinite(xy).all(axis=1)
    # The farthest from nominal last, so that a neighbour never hides it.
    order = np.flatnonzero(drawn)[np.argsort(np.abs(voltage[drawn] - 1.0), kind="stable")]
    size = np.where(buses_with_batteries(data), marks.with_battery, marks.without)
    out = np.flatnonzero(drawn & outside_limits(data, case))
    rings: dict[str, Any] = {
        "facecolors": "none",
        "edgecolors": VERMILION,
        "linewidths": 0.6 if dense else 1.4,
    }
    axes.scatter(xy[out, 0], xy[out, 1], s=marks.ring, zorder=2, rasterized=dense, **rings)
    return axes.scatter(
        xy[order, 0],
        xy[order, 1],
        s=size[order],
        c=voltage[order],
        norm=_norm(data),
        cmap="PuOr",
        edgecolors=NEUTRAL,
        linewidths=marks.edge,
        zorder=3,
        rasterized=dense,
    )


def _norm(data: xr.Dataset) -> TwoSlopeNorm:
    """The same colours in every map of a run: as far from nominal as the widest limit allows."""
    limits = np.concatenate([values(data, "v_pu_min"), values(data, "v_pu_max")])
    deviation = np.abs(limits[np.isfinite(limits)] - 1.0).max(initial=DEVIATION_PU_MIN)
    return TwoSlopeNorm(1.0, 1.0 - deviation, 1.0 + deviation)


def _legend(marks: _Marks) -> list[Line2D]:
    dot: dict[str, Any] = {
        "linestyle": "none",
        "marker": "o",
        "markerfacecolor": "none",
        "color": INK,
    }
    with_battery, without = (
        max(np.sqrt(s), least) for s, least in ((marks.with_battery, 5.0), (marks.without, 2.5))
    )
    return [
        Line2D([], [], markersize=with_battery, label="bus with batteries", **dot),
        Line2D([], [], markersize=without, label="bus without", **dot),
        Line2D(
            [], [], linestyle="none", marker="o", markersize=8, markerfacecolor="none",
            color=VERMILION, markeredgewidth=1.4, label="voltage outside its limits",
        ),
        Line2D([], [], color=VERMILION, linewidth=3, label="loaded above its limit"),
    ]  # fmt: skip
