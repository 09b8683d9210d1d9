"""Figures: shown by notebooks, drawn at any shape of grid, and kept off shared state."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
import xarray as xr

from gridsim.report import figures, overview
from gridsim.report.layout import branch_ends, bus_xy
from gridsim.report.series import (
    highest,
    level_nearest_its_limits,
    levels,
    lowest,
    outside_limits,
    worst_voltage,
)
from gridsim.report.style import LIMIT, PLAN, PRICE_ONLY, WITHOUT, ReportFigure
from gridsim.report.words import alternatives
from tests.gridsim.report.synthetic import synthetic_run

PNG = b"\x89PNG"
BORDER_PX = 4.0  # the empty edge that a legend counts as its own


def labels(figure: ReportFigure) -> set[str]:
    return {text.get_text() for legend in figure.legends for text in legend.get_texts()}


def test_a_notebook_shows_the_overview() -> None:
    display = pytest.importorskip("IPython.core.formatters").DisplayFormatter()
    shown, _ = display.format(overview(synthetic_run()))

    assert shown["image/png"][:4] == PNG


def test_no_window_and_no_pyplot_is_needed() -> None:
    code = (
        "import sys; from tests.gridsim.report.synthetic import synthetic_run\n"
        "synthetic_run().plot()._repr_png_()\n"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_threads_draw_what_one_thread_draws() -> None:
    runs = [synthetic_run(seed=seed) for seed in range(3)]
    before = dict(mpl.rcParams)
    alone = [figures(run)["voltage"].to_svg() for run in runs]

    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(lambda run: figures(run)["voltage"].to_svg(), runs))

    assert together == alone
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize(
    "shape",
    [
        {},
        {"gap": 3},
        {"gap": 47},
        {"coordinates": False},
        {"findings": 5},
        {"batteries": 0},
        {"buses": 5, "batteries": 1},
        {"intervals": 1},
        {"intervals": 7 * 48},
    ],
)
def test_figures_of_any_run_can_be_drawn(shape: dict[str, Any]) -> None:
    run = synthetic_run(**shape)
    drawn = figures(run)

    assert set(alternatives(run)) == set(drawn)
    for figure in drawn.values():
        assert figure.to_svg().endswith("</svg>\n")


@pytest.mark.parametrize("name", ["plan", "voltage", "loading"])
def test_time_is_labelled_as_utc_and_each_panel_has_a_unit(name: str) -> None:
    axes = figures(synthetic_run())[name].axes

    assert "UTC, 16 January 2023" in "".join(one.get_xlabel() for one in axes)
    assert all(one.get_ylabel() for one in axes)


def test_a_legend_tells_each_kind_of_line_once_by_more_than_colour() -> None:
    drawn = figures(synthetic_run(gap=5))

    assert labels(drawn["voltage"]) == {
        "without batteries", "by price alone", "with the plan", "limit",
        "a power flow did not converge",
    }  # fmt: skip
    styles = [PLAN.line, WITHOUT.line, PRICE_ONLY.line, LIMIT]
    for key in ("color", "linestyle"):
        assert len({str(style[key]) for style in styles}) == len(styles)


def test_nothing_of_a_figure_lies_outside_it_or_under_its_legend() -> None:
    run = synthetic_run(gap=5)
    for narrow in (False, True):
        for figure in figures(run, narrow=narrow).values():
            figure.to_svg()  # lays it out
            whole = figure.bbox.padded(1.0)
            (legend,) = figure.legends
            box = legend.get_window_extent()
            assert whole.x0 <= box.x0
            assert box.x1 <= whole.x1
            for axes in figure.axes:
                tight = axes.get_tightbbox()
                assert tight is not None
                assert whole.x0 <= tight.x0
                assert tight.x1 <= whole.x1
                assert tight.y1 <= whole.y1
                assert tight.y0 >= box.y1 - BORDER_PX


def test_extremes_skip_gaps_and_stay_gaps_where_nothing_is_known() -> None:
    values = np.array([[1.0, np.nan, np.nan], [3.0, 2.0, np.nan]])

    np.testing.assert_array_equal(lowest(values), [1.0, 2.0, np.nan])
    np.testing.assert_array_equal(highest(values), [3.0, 2.0, np.nan])
    np.testing.assert_array_equal(highest(np.empty((0, 2))), [np.nan, np.nan])


def test_the_worst_voltage_is_the_farthest_from_nominal() -> None:
    data = synthetic_run(gap=9).data
    v_pu = data["v_pu_price_only"].to_numpy()
    worst = worst_voltage(data, PRICE_ONLY)

    np.testing.assert_allclose(np.abs(worst - 1.0), np.nanmax(np.abs(v_pu - 1.0), axis=1))
    assert all(value in row for value, row in zip(worst, v_pu, strict=True))


def test_a_bus_on_its_limit_is_inside_it() -> None:
    data = synthetic_run().data
    at_limit = data["v_pu"] * 0.0 + data["v_pu_min"]

    assert not outside_limits(data.assign(v_pu=at_limit), PLAN).any()
    assert outside_limits(data.assign(v_pu=at_limit - 1e-3), PLAN).all()


def test_the_level_nearest_its_limits_is_the_one_pushed_there() -> None:
    data = synthetic_run(buses=400).data
    kv = data["bus_kv"]
    pushed = data.assign(v_pu=xr.where(kv == 20.0, 0.9651, 1.0) + 0.0 * data["v_pu"])

    level = level_nearest_its_limits(pushed)

    assert level is not None
    assert level.kv == 20.0
    assert [one.kv for one in levels(pushed)] == [0.4, 20.0]
    assert (level.v_pu_min, level.v_pu_max) == (0.965, 1.055)


def test_a_tree_is_laid_out_without_two_buses_in_one_place() -> None:
    data = synthetic_run(buses=500, coordinates=False).data
    xy, own = bus_xy(data)

    assert not own
    assert np.isfinite(xy).all()
    assert len(np.unique(xy.round(9), axis=0)) == 500
    # A branch spans one circle: both ends differ by one step from the upstream bus.
    radius = np.hypot(*xy.T)
    ends = branch_ends(data)
    np.testing.assert_allclose(np.abs(np.diff(radius[ends], axis=1)), 1.0, atol=1e-9)


def test_coordinates_are_used_where_most_buses_have_them() -> None:
    data = synthetic_run().data
    some = data.assign(bus_x=data["bus_x"].where(np.arange(60) >= 5))
    xy, own = bus_xy(some)

    assert own
    np.testing.assert_array_equal(np.isfinite(xy).all(axis=1), np.arange(60) >= 5)
    assert not bus_xy(data.assign(bus_x=0 * data["bus_x"], bus_y=0 * data["bus_y"]))[1]
