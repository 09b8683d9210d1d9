"""Rows that tie batteries together, in every mix, against the Pyomo model and the certificate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from optimizer.engine.engine import solve_structured
from optimizer.engine.features import not_carried
from optimizer.solve import solve
from tests.optimizer.engine.shared_problems import fleet_problem, shared_problem
from tests.optimizer.problems import make_problem

if TYPE_CHECKING:
    from optimizer.plan import Plan


def certified(plan: Plan) -> Any:
    assert plan.certificate is not None
    return plan.certificate


@pytest.mark.parametrize("batch", range(12))
def test_every_mix_of_shared_features_costs_what_the_model_says(batch: int) -> None:
    """Where limits and rows reward burning energy the model needs binaries: only a bound there.

    A ramp of a net that other rows fight with may cost the engine its last digits; its certificate
    then says so, and few do.
    """
    compared, open_gaps = 0, 0
    for seed in range(25 * batch, 25 * batch + 25):
        problem = shared_problem(seed)
        if not_carried(problem):
            continue
        plan = solve_structured(problem, gap=1e-6, threads=1)
        truth = solve(problem, solver="monolith")
        mine, model = certified(plan), certified(truth)
        assert truth.solver is not None
        assert mine.worst_violation <= 1e-6
        scale = 1e-5 * (1 + abs(model.profit))
        assert mine.profit <= model.profit_bound + scale
        if truth.solver.binaries:
            continue
        compared += 1
        if problem.limits.has_ramp.any() and mine.gap_absolute > scale:
            open_gaps += 1
            continue
        assert mine.profit == pytest.approx(model.profit, abs=scale)
        assert mine.profit_bound == pytest.approx(model.profit, abs=scale)
    assert compared >= 20
    assert open_gaps <= 2


def test_a_network_row_prices_what_it_holds() -> None:
    """Two batteries would sell 5 kW each; a row lets 6 kW through, the second counting double."""
    problem = make_problem(
        T=1,
        batteries=[{"group": "near"}, {"group": "far"}],
        groups=[{"group_id": "near"}, {"group_id": "far"}],
        price_import=0.3,
        network=[{"weights": {"near": 1.0, "far": 2.0}, "p_kw_min": -6.0}],
    )
    plan = solve_structured(problem, gap=1e-6)
    assert plan.multipliers is not None
    assert (plan.p_charge_kw - plan.p_discharge_kw)[:, 0] == pytest.approx([-5.0, -0.5], abs=1e-4)
    assert plan.multipliers.network_min_per_kw == pytest.approx([0.15], rel=1e-3)
    assert certified(plan).gap <= 1e-5


def test_the_group_and_the_sum_of_its_units_are_one() -> None:
    """A row that names a group, or all of its units, or the whole less the rest."""
    batteries = [{"group": "a"}, {"group": "a"}, {"group": "b"}]
    rows: list[dict[str | None, float]] = [
        {"a": 1.0},
        {"b0": 1.0, "b1": 1.0},
        {None: 1.0, "b": -1.0},
        {None: 1.0, "b2": -1.0},
    ]
    powers = []
    for weights in rows:
        problem = make_problem(
            T=4,
            batteries=batteries,
            groups=[{"group_id": "a"}, {"group_id": "b"}],
            price_import=[0.1, 0.2, 0.05, 0.3],
            network=[
                {"weights": weights, "interval": 2, "p_kw_max": 4.0},
                {"weights": weights, "interval": 3, "p_kw_min": -3.0},
            ],
        )
        plan = solve_structured(problem, gap=1e-7)
        assert certified(plan).gap <= 1e-5
        powers.append(certified(plan).profit)
    assert powers == pytest.approx([powers[0]] * 4, abs=1e-5)


def test_a_peak_is_paid_once() -> None:
    """Energy for one hour of use is bought in all four, as evenly as the peak's price asks."""
    problem = make_problem(
        T=4,
        batteries=[{"group": "site", "energy_kwh_initial": 0.0}],
        groups=[{"group_id": "site", "load_kw": [0.0, 0.0, 0.0, 4.0]}],
        limits=[{"group": "site", "p_kw_max": 0.5, "breach_price_per_kw": 1.0}],
    )
    plan = solve_structured(problem, gap=1e-6)
    assert plan.multipliers is not None
    assert plan.p_charge_kw[0, :3] == pytest.approx([1.0] * 3, abs=1e-4)
    assert plan.p_discharge_kw[0, 3] == pytest.approx(3.0, abs=1e-4)
    assert plan.multipliers.limit_max_per_kw.sum() == pytest.approx(1.0, rel=1e-4)
    assert certified(plan).gap <= 1e-4


def test_a_net_ramps_no_faster_than_its_limit() -> None:
    problem = make_problem(
        T=4,
        batteries=[{"group": "feeder"}, {"group": "feeder"}],
        groups=[{"group_id": "feeder"}],
        price_import=[0.1, 0.1, 0.4, 0.4],
        limits=[{"group": "feeder", "ramp_down_kw_per_h": 3.0, "p_kw_initial": 0.0}],
    )
    plan, truth = solve_structured(problem, gap=1e-6), solve(problem, solver="monolith")
    net = (plan.p_charge_kw - plan.p_discharge_kw).sum(axis=0)
    assert (np.diff(net, prepend=0.0) >= -3.0 - 1e-6).all()
    assert certified(plan).profit == pytest.approx(certified(truth).profit, rel=1e-5)
    assert certified(plan).gap <= 1e-4


@pytest.mark.parametrize("nested", [False, True])
def test_a_large_fleet_closes_the_gap(nested: bool) -> None:
    plan = solve_structured(fleet_problem(600, rows=60, nested=nested), gap=1e-5)
    assert plan.multipliers is not None
    assert certified(plan).gap <= 1e-5
    assert certified(plan).worst_violation <= 1e-6
    prices = plan.multipliers.network_max_per_kw + plan.multipliers.network_min_per_kw
    assert (prices > 1e-3).sum() >= 5


def test_bits_do_not_depend_on_threads() -> None:
    problem = fleet_problem(600, rows=150, nested=True)
    one, two = (solve_structured(problem, threads=threads) for threads in (1, 2))
    assert one.digest == two.digest
    assert one.certificate == two.certificate
    assert one.multipliers is not None
    assert two.multipliers is not None
    assert np.array_equal(one.multipliers.network_max_per_kw, two.multipliers.network_max_per_kw)


def test_a_loop_ends_where_only_rounding_would_grow() -> None:
    """Rows of a net's ramp miss more with each iteration once the products are spent."""
    plan = solve_structured(shared_problem(1846), gap=1e-6, threads=1)
    assert certified(plan).gap_absolute <= 1e-6
    assert certified(plan).worst_violation <= 1e-6
