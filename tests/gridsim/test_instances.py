"""The public instances: the same for everybody, as tight as they say, and small in memory."""

from __future__ import annotations

import numpy as np
import pytest

from gridsim.instances import AREA_BATTERIES, CONGESTION, InstanceError, make_instance
from optimizer.breaches import find_breaches, net_power_kw
from optimizer.problem import NO_GROUP
from optimizer.reach import idle_energy_kwh
from optimizer.solve import solve


def test_the_same_arguments_draw_the_same_problem() -> None:
    one, again = (make_instance(200, discrete=0.3, seed=8) for _ in range(2))
    assert one.digest == again.digest
    assert make_instance(200, discrete=0.3, seed=9).digest != one.digest


@pytest.mark.parametrize("congestion", CONGESTION)
def test_doing_nothing_breaks_nothing(congestion: str) -> None:
    problem = make_instance(400, 96, congestion, discrete=0.5)  # type: ignore[arg-type]
    rest = np.zeros(problem.shape)
    none = np.zeros((0, 96))
    assert find_breaches(problem, rest, rest, none, idle_energy_kwh(problem)) == ()


def test_congestion_is_what_it_says() -> None:
    """Shares of area-intervals at their limit in the best plan, and how they are ordered."""
    shares = []
    for congestion, least, most in (("none", 0.0, 0.0), ("moderate", 0.07, 0.19),
                                    ("heavy", 0.38, 0.52)):  # fmt: skip
        problem = make_instance(1000, congestion=congestion)  # type: ignore[arg-type]
        plan = solve(problem, solver="structured", audit=False)
        net = net_power_kw(problem, plan.p_charge_kw - plan.p_discharge_kw, plan.generation_kw)
        room = np.abs(problem.limits.p_kw_max) - np.abs(net[problem.limits.group])
        areas = np.unique(problem.batteries.group)
        shares.append(float((room[areas] < 1e-3).mean()))
        assert least <= shares[-1] <= most
    assert shares == sorted(shares)


def test_the_tree_has_areas_under_feeders_under_substations() -> None:
    problem = make_instance(12_000)
    groups, sizes = problem.groups, np.bincount(problem.batteries.group)
    assert sizes.min() >= AREA_BATTERIES[0]
    assert sizes.max() < AREA_BATTERIES[0] + AREA_BATTERIES[1]
    assert {len(chain) for chain in groups.ancestors} == {1, 2, 3}
    assert (groups.parent[np.unique(problem.batteries.group)] != NO_GROUP).all()
    flat = make_instance(12_000, nested=False)
    assert (flat.groups.parent == NO_GROUP).all()


def test_discrete_batteries_are_of_three_kinds_with_whole_watts() -> None:
    b = make_instance(900, discrete=1.0).batteries
    on_off, steps = b.power_levels == 1, b.power_levels > 1
    assert min(on_off.sum(), steps.sum(), (b.p_charge_kw_min > 0).sum()) > 200
    assert b.is_discrete.all()
    watts = 1000.0 * b.p_charge_kw_max[:, 0] / np.maximum(b.power_levels, 1)
    np.testing.assert_allclose(watts, np.round(watts), atol=1e-9)


def test_columns_that_do_not_change_take_no_room() -> None:
    b = make_instance(1000).batteries
    for name in ("p_charge_kw_max", "energy_kwh_max", "energy_kwh_min", "inflow_kw"):
        assert getattr(b, name).strides[1] == 0


def test_every_fault_is_named() -> None:
    with pytest.raises(InstanceError) as caught:
        make_instance(0, 0, "some", 1.5, -1)  # type: ignore[arg-type]
    named = [fault.where for fault in caught.value.faults]
    assert named == ["batteries", "intervals", "congestion", "discrete", "seed"]
