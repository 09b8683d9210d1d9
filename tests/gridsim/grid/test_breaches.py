"""Which limits are broken, and who is to blame."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from gridsim.grid import Breach, Grid, GridError, PowerFlow, find_breaches

from .conftest import plan_for

if TYPE_CHECKING:
    import xarray as xr


def altered(flow: xr.Dataset, **values: tuple[int, int, float]) -> xr.Dataset:
    """A copy with single values replaced: name=(row, interval, value)."""
    copy = flow.copy(deep=True)
    for name, (row, interval, value) in values.items():
        copy[name][row, interval] = value
    return copy


def test_nothing_is_broken_without_batteries(street: Grid, street_flow: PowerFlow) -> None:
    base = street_flow.flow()
    assert len(find_breaches(base, base, street)) == 0


def test_each_kind_is_found_with_its_side_and_limit(street: Grid, street_flow: PowerFlow) -> None:
    base = street_flow.flow()
    flow = altered(
        base, v_pu=(3, 4, 0.85), line_loading=(5, 6, 1.2), transformer_loading=(0, 7, 1.01)
    )
    flow["v_pu"][9, 8] = 1.2
    high, low, line, transformer = find_breaches(flow, base, street)
    assert low == Breach(
        kind="bus",
        element=str(street.buses.label[3]),
        time=base.time.to_numpy()[4],
        interval=4,
        value=0.85,
        limit=0.9,
        baseline=float(base.v_pu[3, 4]),
        side="low",
        preexisting=False,
        worsened=False,
    )
    assert (high.side, high.limit, high.interval) == ("high", 1.1, 8)
    assert (line.kind, line.element, line.value) == ("line", street.lines.label[5], 1.2)
    assert (transformer.kind, transformer.limit) == ("transformer", 1.0)
    assert all(found.counts for found in (high, low, line, transformer))


@pytest.mark.parametrize(
    ("name", "before", "after", "preexisting", "worsened"),
    [
        ("line_loading", 1.10, 1.05, True, False),  # the plan helps
        ("line_loading", 1.10, 1.10005, True, False),  # within the solver's accuracy
        ("line_loading", 1.10, 1.11, True, True),
        ("line_loading", 0.99, 1.01, False, False),
        ("v_pu", 0.85, 0.86, True, False),
        ("v_pu", 0.85, 0.84, True, True),
        ("v_pu", 1.15, 1.14, True, False),
        ("v_pu", 1.15, 1.16, True, True),
        ("v_pu", 0.85, 1.15, False, False),  # broken on the other side: new
    ],
)
def test_what_was_broken_before_is_excused_until_it_gets_worse(
    street: Grid,
    street_flow: PowerFlow,
    name: str,
    before: float,
    after: float,
    preexisting: bool,
    worsened: bool,
) -> None:
    plain = street_flow.flow()
    base, flow = (altered(plain, **{name: (2, 2, value)}) for value in (before, after))
    found = find_breaches(flow, base, street)
    assert len(found) == 1
    assert (found[0].preexisting, found[0].worsened) == (preexisting, worsened)
    assert len(found.counting) == int(worsened or not preexisting)
    assert len(found.excused) == 1 - len(found.counting)


def test_a_limit_met_exactly_is_not_broken(street: Grid, street_flow: PowerFlow) -> None:
    base = street_flow.flow()
    flow = altered(base, v_pu=(1, 1, 1.1), line_loading=(1, 1, 1.0))
    assert len(find_breaches(flow, base, street)) == 0


def test_an_interval_without_solution_is_a_finding(street: Grid, street_flow: PowerFlow) -> None:
    plan = plan_for(street_flow, 0, 0)
    plan[:, 9] = 1e5
    (found,) = find_breaches(street_flow.flow(plan), street_flow.flow(), street)
    assert (found.kind, found.element, found.interval, found.counts) == ("flow", "", 9, True)
    assert found.time == street_flow.time[9]


def test_findings_agree_with_a_plain_count(town: Grid, town_flow: PowerFlow) -> None:
    flow, base = town_flow.flow(plan_for(town_flow, 0, 20)), town_flow.flow()
    found = find_breaches(flow, base, town)
    v_pu = flow.v_pu.to_numpy()
    outside = (v_pu < town.buses.v_pu_min[:, None]) | (v_pu > town.buses.v_pu_max[:, None])
    counts = {
        "bus": outside.sum(),
        "line": (flow.line_loading.to_numpy() > 1).sum(),
        "transformer": (flow.transformer_loading.to_numpy() > 1).sum(),
    }
    assert counts["line"] > 0
    assert counts["bus"] > 0
    for kind, count in counts.items():
        assert (found.kind == kind).sum() == count
    labels = {"bus": town.buses, "line": town.lines, "transformer": town.transformers}
    assert all(labels[b.kind].label[p] == b.element for b, p in zip(found, found.position))  # noqa: B905
    assert len(found[:3]) == 3
    assert np.array_equal(found.select(np.array([2, 1])).value, found.value[[2, 1]])


def test_flows_of_different_intervals_are_refused(street: Grid, street_flow: PowerFlow) -> None:
    base = street_flow.flow()
    with pytest.raises(GridError, match=r"baseline\.time"):
        find_breaches(base, base.isel(time=slice(1, None)), street)
    with pytest.raises(GridError, match=r"flow\.bus"):
        find_breaches(base.isel(bus=slice(1, None)), base, street)


def test_without_a_solution_only_rest_is_excused(street: Grid, street_flow: PowerFlow) -> None:
    base = street_flow.flow()
    dark = base.copy(deep=True)
    dark["converged"][[5, 6]] = False
    at_rest = np.arange(48) == 5
    at_five, at_six = find_breaches(dark, dark, street, at_rest)
    assert (at_five.kind, at_five.preexisting, at_five.counts) == ("flow", True, False)
    assert (at_six.interval, at_six.preexisting, at_six.counts) == (6, True, True)
    assert all(breach.counts for breach in find_breaches(dark, dark, street))
    assert all(breach.counts for breach in find_breaches(dark, base, street, at_rest))
    with pytest.raises(GridError, match="at_rest"):
        find_breaches(dark, base, street, at_rest[:-1])
