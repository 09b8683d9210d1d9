"""Weights of batteries as rows over areas and batteries, and what the linear grid foretells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gridsim.grid import Nearness, Watch
from gridsim.study.linear import Experience, linearise
from gridsim.study.rows import SPREAD_MOST, WEIGHT_LEAST, Places, area_sums, entries, network_rows
from gridsim.study.shaping import first_area_group, places

if TYPE_CHECKING:
    from gridsim.study.study import Study

AREAS = Places(
    area=np.array([1, 1, 1, 2, 2, 0, -1]),  # areas 1 and 2 lie in 0; the last is in none
    parent=np.array([-1, 0, 0]),
    rated_kw=np.array([1.0, 2.0, 1.0, 3.0, 1.0, 1.0, 2.0]),
    fixed_kw=np.array([[7.0], [2.0], [4.0]]),
)


def spelled_out(weights: np.ndarray) -> np.ndarray:
    """The weight that each battery has in the entries of each row."""
    found = entries(weights, AREAS)
    full = np.zeros_like(weights)
    full[found.row, found.battery] = found.weight
    for battery in range(weights.shape[1]):
        at = AREAS.area[battery]
        while at >= 0:
            full[:, battery] += found.area_weight[:, at]
            at = AREAS.parent[at]
    return full * found.scale[:, None]


def test_alike_batteries_of_an_area_are_one_entry() -> None:
    weights = np.array([[1.0, 1.0, 1.0, 0.3, 0.9, 0.0, 0.5]])
    found = entries(weights, AREAS)
    assert found.area_weight.tolist() == [[0.0, 1.0, 0.0]]
    assert found.battery.tolist() == [3, 4, 6]  # those of area 2 differ, the last is in none


def test_an_outer_area_stands_for_all_inside_it() -> None:
    weights = np.array([[-2.0, -2.0, -2.0, -2.0, -2.0, -2.0, 0.0]])
    found = entries(weights, AREAS)
    assert found.scale.tolist() == [2.0]
    assert found.area_weight.tolist() == [[-1.0, 0.0, 0.0]]
    assert found.battery.size == 0


@given(seed=st.integers(0, 2**16), alike=st.floats(0.0, 0.3))
def test_entries_are_the_weights_but_for_spread_and_least(seed: int, alike: float) -> None:
    rng = np.random.default_rng(seed)
    of_area = rng.uniform(-1, 1, (5, 4))[:, AREAS.area]
    weights = 1e-3 * (of_area + alike * rng.uniform(-1, 1, (5, 7)))
    off = np.abs(spelled_out(weights) - weights)
    scale = np.abs(weights).max(axis=1, keepdims=True)
    assert (off <= (SPREAD_MOST + WEIGHT_LEAST) * scale + 1e-12).all()
    p_kw = rng.uniform(-5, 5, (7, 1))
    found, interval = entries(weights, AREAS), np.zeros(5, dtype=np.int64)
    sums = found.scale * found.sums(p_kw, area_sums(AREAS, p_kw), interval)
    assert np.allclose(sums, spelled_out(weights) @ p_kw[:, 0])


def test_bounds_of_rows_hold_what_the_sites_of_an_area_draw() -> None:
    weights = np.array([[1.0, 1.0, 1.0, 0.3, 0.9, 0.0, 0.5]])
    found = entries(weights, AREAS)
    low, high = np.array([-np.inf]), np.array([5.0])
    rows = network_rows(["one"], np.zeros(1, dtype=np.int64), found, (low, high), AREAS, 10, 2.0)
    assert rows.p_kw_max.tolist() == [5.0 + 2.0]
    assert rows.p_kw_min.tolist() == [-np.inf]
    groups = rows.entry_group[rows.entry_unit < 0]
    assert groups.tolist() == [11]
    assert rows.breach_price_per_kwh.tolist() == [2.0]


def test_the_linear_grid_tells_what_the_power_flow_will_say(crowded_study: Study) -> None:
    """Near its operating point its error falls with the square of the step."""
    flow, ratings = crowded_study.power_flow, crowded_study.ratings
    where = places(crowded_study.built, ratings)
    watch = Watch(flow.grid, flow.baseline)
    plan = crowded_study.plan().p_kw
    powers, point = plan.to_numpy(), flow.operating_point(plan)
    sides = watch.near(point.flow, Nearness(v_pu=0.05, line=0.5, transformer=0.5))
    assert {"bus", "transformer"} <= set(watch.watched(sides).kind.tolist())
    linear = linearise(
        watch, flow, point, powers, Experience().watching(watch, sides), ratings, where,
        first_area_group(crowded_study.built), 1.0,
    )  # fmt: skip
    assert np.allclose(linear.predicted(powers, where), watch.values(point.flow, sides))
    rng = np.random.default_rng(3)
    direction = rng.uniform(-1, 1, powers.shape)
    slopes = []
    for step in (4.0, 1.0):
        moved = powers + step * direction
        actual = watch.values(flow.flow(plan.copy(data=moved)), sides)
        change = np.abs(actual - linear.value).max()
        slopes.append(np.abs(linear.predicted(moved, where) - actual).max() / change)
    # Batteries of an area are taken as alike within a tenth: that much of a slope may be off.
    assert slopes[0] < 0.15
    assert slopes[1] < 0.12
