"""What hangs below what, and whether a plan clipped to the cuts is one the grid can carry."""

from __future__ import annotations

from typing import TYPE_CHECKING

import networkx as nx
import numpy as np
import pandapower.topology as top
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridsim.grid import (
    AreaTree,
    Cut,
    Grid,
    PowerFlow,
    area_tree,
    areas,
    find_breaches,
    secant_cuts,
)

from .conftest import plan_for

if TYPE_CHECKING:
    import xarray as xr


@pytest.fixture(scope="module", params=["street", "town", "case33bw", "create_cigre_network_mv"])
def grid(request: pytest.FixtureRequest) -> Grid:
    if request.param in ("street", "town"):
        found: Grid = request.getfixturevalue(request.param)
        return found
    return Grid.from_pandapower(request.param)


def reached_without(grid: Grid, kind: str, rows: tuple[int, ...]) -> set[int]:
    """Buses still fed when these elements are switched off, by pandapower's own search."""
    net = grid.net_copy()
    table = net.line if kind == "line" else net.trafo
    table.loc[table.index[list(rows)], "in_service"] = False
    graph = top.create_nxgraph(net, include_out_of_service=False)
    sources = [bus for bus in net.ext_grid.bus if bus in graph]
    fed = set().union(*(nx.node_connected_component(graph, bus) for bus in sources))
    return {at for at, index in enumerate(net.bus.index) if index in fed}


def test_an_area_is_what_goes_dark_without_its_feeder(grid: Grid) -> None:
    found = areas(grid)
    everything = reached_without(grid, "line", ())
    for area in found[:: max(1, len(found) // 40)] + [a for a in found if a.kind != "line"]:
        dark = everything - reached_without(grid, area.kind, area.elements)
        assert set(area.buses.tolist()) == dark
    singles = {(a.kind, row) for a in found for row in a.elements}
    for row in range(0, len(grid.lines), max(1, len(grid.lines) // 40)):
        if ("line", row) not in singles and grid.lines.in_service[row]:
            assert reached_without(grid, "line", (row,)) == everything


def test_areas_are_nested_and_ordered(grid: Grid) -> None:
    tree = area_tree(grid)
    inside = [set(area.buses.tolist()) for area in tree.areas]
    for at, area in enumerate(tree.areas):
        above = tree.parent[at]
        assert above < at
        assert area.parent_id == (tree.areas[above].area_id if above >= 0 else "")
        assert above < 0 or inside[at] <= inside[above]
        assert area.head not in inside[at]
    assert len(tree.position) == len(tree)
    for bus, at in enumerate(tree.of_bus):
        around = [a for a, buses in enumerate(inside) if bus in buses]
        assert sorted(tree.ancestors(int(at))) == around


def test_parallel_transformers_feed_one_area(town: Grid) -> None:
    tree = area_tree(town)
    bank, low = (area for area in tree.areas if area.kind == "transformer")
    assert (bank.elements, bank.s_kva, bank.parent_id) == ((0, 1), 80_000.0, "")
    assert (low.elements, low.s_kva) == ((2,), 630.0)
    assert tree.areas[tree.parent[tree.position[low.area_id]]].kind == "line"
    assert tree.of_transformer.tolist() == [
        tree.position[bank.area_id],
        tree.position[bank.area_id],
        tree.position[low.area_id],
    ]


def test_sums_are_those_of_the_units_inside(town: Grid, town_flow: PowerFlow) -> None:
    tree, plan = area_tree(town), plan_for(town_flow, -3, 3)
    sums = tree.sums(town_flow.storage_bus, plan.to_numpy())
    for area, row in zip(tree.areas, sums, strict=True):
        within = np.isin(town_flow.storage_bus, area.buses)
        np.testing.assert_allclose(row, plan.to_numpy()[within].sum(axis=0), atol=1e-9)


def clip_to(cuts: list[Cut], plan: xr.DataArray, flow: PowerFlow, tree: AreaTree) -> xr.DataArray:
    """The plan scaled down in each area until every cut holds, innermost areas first."""
    values = plan.to_numpy().copy()
    for cut in sorted(cuts, key=lambda cut: -tree.position[cut.area_id]):
        inside = np.isin(flow.storage_bus, tree.areas[tree.position[cut.area_id]].buses)
        power = values[inside, cut.interval].sum()
        wanted = min(max(power, cut.p_kw_min), cut.p_kw_max)
        if abs(power) > 1e-9:
            values[inside, cut.interval] *= wanted / power
    return plan.copy(data=values)


@settings(max_examples=8)
@given(seed=st.integers(0, 2**16), high_kw=st.floats(8, 25), charge=st.booleans())
def test_a_plan_clipped_to_its_cuts_breaks_less(
    street: Grid, street_flow: PowerFlow, seed: int, high_kw: float, charge: bool
) -> None:
    plan = (1 if charge else -1) * plan_for(street_flow, -2, high_kw, seed)
    tree, base = area_tree(street), street_flow.flow()
    flow = street_flow.flow(plan)
    breaches = find_breaches(flow, base, street)
    cuts = secant_cuts(street, tree, flow, base, plan, street_flow.storage_bus, breaches)
    assert bool(cuts) == bool(len(breaches.counting))
    after = street_flow.flow(clip_to(cuts, plan, street_flow, tree))
    left = find_breaches(after, base, street)
    assert len(left) <= 0.2 * len(breaches)
    for name in ("line_loading", "transformer_loading"):
        assert float(after[name].max()) <= max(1.03, float(base[name].max()))


def test_cuts_bound_the_sign_of_the_plan_and_never_flip_it(
    town: Grid, town_flow: PowerFlow
) -> None:
    plan = plan_for(town_flow, -40, 60)
    tree, base = area_tree(town), town_flow.flow()
    flow = town_flow.flow(plan)
    breaches = find_breaches(flow, base, town)
    cuts = secant_cuts(town, tree, flow, base, plan, town_flow.storage_bus, breaches)
    assert cuts
    sums = tree.sums(town_flow.storage_bus, plan.to_numpy())
    for cut in cuts:
        power = sums[tree.position[cut.area_id], cut.interval]
        assert (np.isinf(cut.p_kw_min)) == (power > 0)
        assert 0 <= (cut.p_kw_max if power > 0 else cut.p_kw_min) / power < 1
        assert cut.caused_by.interval == cut.interval


def test_a_limit_broken_without_batteries_leaves_no_room(
    street: Grid, street_flow: PowerFlow
) -> None:
    base = street_flow.flow()
    peak = int(base.transformer_loading[0].argmax("time"))
    tight = street.with_limits(loading_max=0.9 * float(base.transformer_loading[0, peak]))
    plan = plan_for(street_flow, 0.5, 1)
    flow = street_flow.flow(plan)
    breaches = find_breaches(flow, base, tight)
    tree = area_tree(tight)
    cuts = secant_cuts(tight, tree, flow, base, plan, street_flow.storage_bus, breaches)
    of_peak = [c for c in cuts if c.interval == peak and c.area_id.startswith("transformer")]
    assert [c.p_kw_max for c in of_peak] == [0.0]
    assert of_peak[0].caused_by.worsened
    assert not secant_cuts(
        tight, tree, base, base, 0 * plan, street_flow.storage_bus, find_breaches(base, base, tight)
    )


def test_a_flow_without_solution_halves_the_plan(street: Grid, street_flow: PowerFlow) -> None:
    plan = plan_for(street_flow, 0, 0)
    plan[:, 9] = 1e4
    tree, base, flow = area_tree(street), street_flow.flow(), street_flow.flow(plan)
    breaches = find_breaches(flow, base, street)
    (cut,) = secant_cuts(street, tree, flow, base, plan, street_flow.storage_bus, breaches)
    power = 1e4 * np.isin(street_flow.storage_bus, tree.areas[0].buses).sum()
    assert (cut.interval, cut.caused_by.kind) == (9, "flow")
    assert cut.p_kw_max == pytest.approx(0.99 * 0.5 * power)
