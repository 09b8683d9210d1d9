"""Multipliers are what a unit more of a row is worth: moved by hand and solved again."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from optimizer.solve import solve
from tests.optimizer.problems import make_problem

if TYPE_CHECKING:
    import numpy.typing as npt

    from optimizer.plan import Multipliers
    from optimizer.problem import DispatchProblem

STEP = 1e-4


def base() -> DispatchProblem:
    """Everything that has a multiplier binds somewhere, with uneven intervals."""
    lossy = {"efficiency_charge": 0.9, "efficiency_discharge": 0.9, "standing_loss_per_h": 0.01}
    site = {
        "group_id": "home",
        "parent": "feeder",
        "is_site": True,
        "load_kw": [1, 2, 0.5, 1, 3, 1],
    }
    return make_problem(
        6,
        [1.0, 0.5, 0.5, 1.0, 1.0, 2.0],
        batteries=[
            {**lossy, "group": "home", "ramp_up_kw_per_h": 0.9, "ramp_down_kw_per_h": 0.9,
             "p_kw_initial": 0.3, "end_value_per_kwh": 0.17},
            {**lossy, "group": "feeder", "cycles_per_day_max": 0.23,
             "wear_cost_charge_per_kwh": 0.01},
            {**lossy, "p_charge_kw_max": 2.0, "energy_kwh_initial": 2.0},
        ],
        groups=[
            {**site, "price_import_per_kwh": [0.2, 0.3, 0.1, 0.35, 0.5, 0.22],
             "price_export_per_kwh": [0.1, 0.3, 0.05, 0.2, 0.4, 0.12]},
            {"group_id": "feeder", "load_kw": 1.0},
        ],
        limits=[
            {"group": "feeder", "p_kw_max": 4.1, "p_kw_min": -1.9},
            {"p_kw_max": 3.3, "p_kw_min": -2.3, "breach_price_per_kw": 0.31},
            {"group": "home", "p_kw_max": [1.9, 2.2, 2, 2, 1.8, 2], "breach_price_per_kwh": 0.4},
        ],
        targets=[
            {"battery": 2, "at_h": 2.6, "energy_kwh_min": 5.3, "breach_price_per_kwh": 3.0},
            {"battery": 2, "at_h": 3.0, "energy_kwh_max": 5.0, "breach_price_per_kwh": 0.5},
        ],
        price_import=[0.21, 0.33, 0.12, 0.31, 0.52, 0.2],
        price_export=[0.11, 0.3, 0.08, 0.22, 0.44, 0.13],
        network=[
            {"interval": 0, "weights": {"b0": 1.0, "b2": 0.8}, "p_kw_max": 0.7},
            {"interval": 4, "weights": {"feeder": 1.0, "b2": 0.9}, "p_kw_min": -1.1,
             "breach_price_per_kwh": 0.9},
        ],
        positions=[
            {"group": "feeder", "p_kw": [1.4, 0.1, -0.2, 0, -0.5, 0.4],
             "price_above_per_kwh": [0.1, 0.05, -0.1, 0.02, 0.1, 0.04],
             "price_below_per_kwh": [-0.05, 0.0, 0.12, 0.03, 0.07, 0.02]},
        ],
    )  # fmt: skip


def _moved(values: npt.NDArray[Any], at: tuple[int, ...], by: float) -> npt.NDArray[Any]:
    moved = values.copy()
    moved[at] += by
    return moved


def _inflow(problem: DispatchProblem, at: tuple[int, ...], by: float) -> DispatchProblem:
    arriving = by / problem.grid.step_h[at[1]]
    column = _moved(problem.batteries.inflow_kw, at, arriving)
    return replace(problem, batteries=replace(problem.batteries, inflow_kw=column))


def _limit(name: str, sign: float) -> Any:
    def move(problem: DispatchProblem, at: tuple[int, ...], by: float) -> DispatchProblem:
        column = _moved(getattr(problem.limits, name), at, sign * by)
        return replace(problem, limits=replace(problem.limits, **{name: column}))

    return move


def _network(name: str, sign: float) -> Any:
    def move(problem: DispatchProblem, at: tuple[int, ...], by: float) -> DispatchProblem:
        column = _moved(getattr(problem.network, name), at, sign * by)
        return replace(problem, network=replace(problem.network, **{name: column}))

    return move


def _position(problem: DispatchProblem, at: tuple[int, ...], by: float) -> DispatchProblem:
    more = by / problem.grid.step_h[at[1]]
    column = _moved(problem.positions.p_kw, at, more)
    return replace(problem, positions=replace(problem.positions, p_kw=column))


def _target(name: str, sign: float) -> Any:
    def move(problem: DispatchProblem, at: tuple[int, ...], by: float) -> DispatchProblem:
        column = _moved(getattr(problem.targets, name), at, sign * by)
        return replace(problem, targets=replace(problem.targets, **{name: column}))

    return move


def _load(problem: DispatchProblem, at: tuple[int, ...], by: float) -> DispatchProblem:
    """More energy drawn at a meter, with room made for it in every limit above."""
    less = by / problem.grid.step_h[at[1]]
    groups = replace(problem.groups, load_kw=_moved(problem.groups.load_kw, at, -less))
    limits = replace(
        problem.limits,
        p_kw_max=problem.limits.p_kw_max - less * (np.arange(len(problem.grid)) == at[1]),
        p_kw_min=problem.limits.p_kw_min - less * (np.arange(len(problem.grid)) == at[1]),
    )
    rows = problem.network
    # The only group that a row names is the feeder above the site.
    held = np.bincount(rows.entry_row, weights=rows.weight * (rows.entry_unit < 0))
    room = less * held * (rows.interval == at[1])
    positions = replace(
        problem.positions,
        p_kw=problem.positions.p_kw - less * (np.arange(len(problem.grid)) == at[1]),
    )
    network = replace(rows, p_kw_max=rows.p_kw_max - room, p_kw_min=rows.p_kw_min - room)
    return replace(problem, groups=groups, limits=limits, network=network, positions=positions)


def _cycles(problem: DispatchProblem, at: tuple[int, ...], by: float) -> DispatchProblem:
    b = problem.batteries
    more = by / (2 * b.energy_kwh_rated[at[0]])
    column = _moved(b.cycles_per_day_max, at[:1], more)
    return replace(problem, batteries=replace(b, cycles_per_day_max=column))


CASES: list[tuple[str, Any]] = [
    ("energy_value_per_kwh", _inflow),
    ("limit_max_per_kw", _limit("p_kw_max", 1.0)),
    ("limit_min_per_kw", _limit("p_kw_min", -1.0)),
    ("site_price_per_kwh", _load),
    ("target_min_per_kwh", _target("energy_kwh_min", -1.0)),
    ("target_max_per_kwh", _target("energy_kwh_max", 1.0)),
    ("cycles_per_kwh", _cycles),
    ("position_per_kwh", _position),
    ("network_max_per_kw", _network("p_kw_max", 1.0)),
    ("network_min_per_kw", _network("p_kw_min", -1.0)),
]


def _cost(problem: DispatchProblem) -> float:
    certificate = solve(problem).certificate
    assert certificate is not None
    return certificate.cost


def _slopes(problem: DispatchProblem, move: Any, at: tuple[int, ...]) -> tuple[float, float]:
    """Fall in cost per unit of relief, of a little more and of a little less."""
    now = _cost(problem)
    more, less = _cost(move(problem, at, STEP)), _cost(move(problem, at, -STEP))
    return (now - more) / STEP, (less - now) / STEP


def _multipliers(problem: DispatchProblem) -> Multipliers:
    multipliers = solve(problem).multipliers
    assert multipliers is not None
    return multipliers


@pytest.mark.parametrize(("name", "move"), CASES, ids=[name for name, _ in CASES])
def test_a_multiplier_is_the_fall_in_cost_by_a_unit_of_relief(name: str, move: Any) -> None:
    problem = base()
    # Firm rows price their slack by the largest price there is; it must not move with the row.
    values = getattr(_multipliers(problem), name)
    seen = 0
    for at in np.argwhere(np.isfinite(values)).tolist():
        value, (more, less) = values[tuple(at)], _slopes(problem, move, tuple(at))
        # Where the optimum has a kink any slope between the two sides is a multiplier.
        assert more - 1e-6 <= value <= less + 1e-6, (at, value, more, less)
        seen += value > 1e-6
    assert seen > 0, "the problem does not bind here"


@pytest.mark.parametrize("side", ["up", "down"])
def test_the_multiplier_of_a_nets_ramp_is_the_fall_in_cost_by_a_kw(side: str) -> None:
    """The rate relaxes the rows of all intervals, each by the hours between the middles."""
    name, problem = f"ramp_{side}_kw_per_h", base()
    ramped = replace(problem.limits, **{name: np.array([1.1, np.inf, np.inf])})
    problem = replace(problem, limits=replace(ramped, p_kw_initial=np.array([2.0, np.nan, np.nan])))
    step_h = problem.grid.step_h
    hours = (np.concatenate([step_h[:1], step_h[:-1]]) + step_h) / 2
    values = getattr(_multipliers(problem), f"limit_ramp_{side}_per_kw")[0]

    def move(problem: DispatchProblem, at: tuple[int, ...], by: float) -> DispatchProblem:
        column = _moved(getattr(problem.limits, name), at, by)
        return replace(problem, limits=replace(problem.limits, **{name: column}))

    more, less = _slopes(problem, move, (0,))
    assert more - 1e-6 <= values @ hours <= less + 1e-6
    assert values.max() > 1e-6


@pytest.mark.parametrize("side", ["up", "down"])
def test_a_ramps_multiplier_is_the_fall_in_cost_by_a_kw(side: str) -> None:
    """The rate relaxes the rows of all intervals, each by the hours between the middles."""
    problem = base()
    b, step_h = problem.batteries, problem.grid.step_h
    hours = (np.concatenate([step_h[:1], step_h[:-1]]) + step_h) / 2
    name = f"ramp_{side}_kw_per_h"
    values = getattr(_multipliers(problem), f"ramp_{side}_per_kw")[0]

    def move(problem: DispatchProblem, at: tuple[int, ...], by: float) -> DispatchProblem:
        column = _moved(getattr(b, name), at, by)
        return replace(problem, batteries=replace(b, **{name: column}))

    more, less = _slopes(problem, move, (0,))
    assert more - 1e-6 <= values @ hours <= less + 1e-6
    assert values.max() > 1e-6


def test_a_mixed_integer_plan_has_the_multipliers_of_its_integers() -> None:
    """With the steps fixed, the plan is the optimum of a linear problem, and this one is tight."""
    problem = make_problem(
        batteries=[{"power_levels": 2}, {"p_charge_kw_min": 1.0}],
        limits=[{"p_kw_max": 6.3, "p_kw_min": -6.1}],
        price_import=[0.1, 0.4, 0.2, 0.5],
    )
    plan = solve(problem)
    assert plan.multipliers is not None
    assert plan.multipliers.limit_max_per_kw.max() > 0
    assert plan.solver is not None
    assert plan.solver.binaries > 0
    assert plan.certificate is not None
    assert plan.certificate.gap <= 1e-6
