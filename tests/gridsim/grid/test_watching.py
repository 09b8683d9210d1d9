"""Which values are worth a linear row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from gridsim.grid import Grid, Nearness, PowerFlow, Watch, find_breaches

from .conftest import plan_for

if TYPE_CHECKING:
    import xarray as xr

NONE = Nearness(v_pu=0.0, line=0.0, transformer=0.0)


@pytest.fixture(scope="module")
def crowded(street_flow: PowerFlow) -> xr.Dataset:
    return street_flow.flow(plan_for(street_flow, 0, 12))


def test_every_broken_loading_is_watched_and_the_worst_voltages(
    street: Grid, street_flow: PowerFlow, crowded: xr.Dataset
) -> None:
    tight = street.with_limits(v_pu_min=0.97)
    watch = Watch(tight, street_flow.baseline)
    sides = watch.near(crowded, NONE)
    watched, found = watch.watched(sides), find_breaches(crowded, street_flow.baseline, tight)
    for kind in ("line", "transformer"):
        mine, broken = watched.kind == kind, found.kind == kind
        pairs = zip(watched.position[mine], watched.interval[mine], strict=True)
        assert set(pairs) == set(zip(found.position[broken], found.interval[broken], strict=True))
    low = found.kind == "bus"
    assert low.sum() > 100
    seen = watched.kind == "bus"
    assert 0 < seen.sum() < 0.2 * low.sum()  # neighbours along a feeder say the same
    for at in np.unique(found.interval[low]):
        worst = found.value[low & (found.interval == at)].min()
        values = watch.values(crowded, sides)[seen & (watched.interval == at)]
        assert values.min() == worst


def test_what_is_broken_without_batteries_is_allowed_to_stay(
    street: Grid, street_flow: PowerFlow
) -> None:
    base = street_flow.baseline
    tight = street.with_limits(loading_max=0.9 * float(base.transformer_loading.max()))
    watch = Watch(tight, base)
    peak = int(base.transformer_loading[0].argmax("time"))
    sides = watch.near(base, Nearness(v_pu=0.0, line=0.0, transformer=1e-9))
    of_peak = sides[watch.watched(sides).interval == peak]
    assert watch.allowed(of_peak).tolist() == base.transformer_loading[:, peak].to_numpy().tolist()
    assert watch.worst(base) == 0.0


def test_the_worst_excess_is_relative_to_its_limit(
    street: Grid, street_flow: PowerFlow, crowded: xr.Dataset
) -> None:
    watch = Watch(street, street_flow.baseline)
    over = [
        float(crowded.line_loading.max()) - 1.0,
        float(crowded.transformer_loading.max()) - 1.0,
        1.0 - float(crowded.v_pu.min()) / 0.9,
    ]
    assert watch.worst(crowded) == pytest.approx(max(over))
    dark = crowded.copy(deep=True)
    dark["converged"][3] = False
    assert watch.worst(dark) == float("inf")


def test_a_side_keeps_its_number_and_its_name(street: Grid, street_flow: PowerFlow) -> None:
    watch = Watch(street, street_flow.baseline)
    sides = watch.near(street_flow.baseline, Nearness(v_pu=0.2, line=1.0, transformer=1.0))
    everywhere = watch.at_all_times(sides)
    assert set(sides.tolist()) <= set(everywhere.tolist())
    assert everywhere.size % 48 == 0
    names = {watch.name(side) for side in everywhere.tolist()}
    assert len(names) == everywhere.size // 48
    assert f"loading of transformer {street.transformers.label[0]}" in names
    assert f"lowest voltage of bus {street.buses.label[0]}" in names
