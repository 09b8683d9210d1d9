"""What hangs below what."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pandapower.topology as top
import pytest

from gridsim.grid import Grid, PowerFlow, area_tree, areas

from .conftest import plan_for


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
