"""Ramps, caps and targets inside an interval, against dense algebra and the model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from optimizer.engine import linked
from optimizer.engine.engine import solve_structured
from optimizer.engine.presolve import make_fleet, plan_work
from optimizer.solve import solve
from tests.optimizer.problems import make_problem

if TYPE_CHECKING:
    import numpy.typing as npt

    from optimizer.engine.loop import Work
    from optimizer.problem import DispatchProblem

    Floats = npt.NDArray[np.float64]

INTERVALS = 8


def fleet(count: int, seed: int = 0, **limits: Any) -> DispatchProblem:
    """Batteries with every further row, and some without, under one limit; two days."""
    rng = np.random.default_rng(seed)
    batteries = []
    for i in range(count):
        row = {
            "group": "g0",
            "energy_kwh_max": 10.0,
            "energy_kwh_initial": rng.uniform(2, 8),
            "p_charge_kw_max": rng.uniform(3, 5),
            "p_discharge_kw_max": rng.uniform(3, 5),
            "efficiency_charge": rng.uniform(0.9, 0.98),
            "efficiency_discharge": rng.uniform(0.9, 0.98),
            "standing_loss_per_h": 0.002,
            "wear_cost_discharge_per_kwh": 0.02,
        }
        if i % 4 != 3:
            row |= {
                "ramp_up_kw_per_h": rng.uniform(0.3, 1.5),
                "ramp_down_kw_per_h": rng.uniform(0.3, 1.5),
                "p_kw_initial": rng.choice([np.nan, 0.0, 1.0]),
            }
        if i % 2:
            row["p_kw_previous"] = rng.uniform(-3, 3, INTERVALS)
            row["change_price_per_kwh"] = rng.uniform(0, 0.05)
        if i % 3 != 2:
            row["cycles_per_day_max"] = rng.uniform(0.2, 0.7)
        batteries.append(row)
    targets = [
        {
            "battery": i,
            "interval": int(rng.integers(INTERVALS)),
            "share": rng.uniform(0.1, 0.9),
            "energy_kwh_min": rng.uniform(4, 6),
            "energy_kwh_max": 7.0,
            "breach_price_per_kwh": rng.choice([0.0, 0.1]),
        }
        for i in range(0, count, 2)
    ]
    return make_problem(
        INTERVALS,
        3.0,
        batteries,
        [{}],
        [{"group": "g0", "p_kw_max": 1.1 * count, "p_kw_min": -1.2 * count} | limits],
        targets=targets,
        price_import=rng.uniform(0.05, 0.4, INTERVALS),
        start=np.datetime64("2023-01-16T09:00", "ns"),
    )


def started(problem: DispatchProblem, decades: float, seed: int) -> Work:
    """Its work with θ spread over some decades, as in the midst of a solve."""
    fleet = make_fleet(problem)
    (piece,) = plan_work(fleet)
    work = piece.make(fleet)
    rng = np.random.default_rng(seed)
    for box, _ in work.boxes:
        box.inverse[:] = box.free * 10.0 ** rng.uniform(-decades, decades, box.low.shape)
        box.pull[:] = rng.normal(size=box.low.shape)
    return work


def dense(work: Work, cell: int) -> tuple[Floats, Floats, Floats]:
    """A of a battery, 1/θ of its variables, and 1/θ of its rows' own variables."""
    links, cells = work.links, work.cells
    at, columns = links.place[cell], 3 * cells.gain.shape[1]
    rows = int(links.row_start[at + 1] - links.row_start[at])
    matrix, own = np.zeros((rows, columns)), np.zeros(rows)
    for c in range(columns):
        entries = slice(*links.column_start[at * columns + c : at * columns + c + 2])
        matrix[links.entry_row[entries], c] = links.entry_value[entries]
    inverse = work.box.inverse[cell].reshape(-1).copy()
    for k in range(cells.piece_start[cell], cells.piece_start[cell + 1]):
        place = cells.piece_at[k]
        if place < columns:
            inverse[place] += work.pieces.inverse[k]
        else:
            own[place - columns] += work.pieces.inverse[k]
    return matrix, inverse, own


@pytest.mark.parametrize("seed", range(5))
def test_responses_are_those_of_dense_algebra(seed: int) -> None:
    work = started(fleet(7, seed), 2.0, seed)
    count = work.cells.gain.shape[1]
    done = np.zeros(work.parts, dtype=bool)
    state = (work.cells, work.links, work.box, work.pieces, work.blocks, work.alone)
    linked.factorise(*state, done, 0, len(work.blocks.start))
    net = np.zeros((count, 3 * count))
    net[:, :count], net[:, count : 2 * count] = np.eye(count), -np.eye(count)
    seen = 0
    for block in np.flatnonzero(work.blocks.linked):
        expected = np.zeros((count, count))
        for cell in range(work.blocks.start[block], work.blocks.stop[block]):
            matrix, inverse, own = dense(work, cell)
            system = matrix * inverse @ matrix.T + np.diag(own)
            force = matrix * inverse @ net.T
            expected += net * inverse @ net.T - force.T @ np.linalg.solve(system, force)
            seen += 1
        upper = np.triu_indices(count)
        found = work.blocks.response[block]
        assert found[upper] == pytest.approx(expected[upper], rel=1e-7, abs=1e-9)
    assert seen == (work.links.place >= 0).sum() >= 6
    assert not work.links.mended.any()


@pytest.mark.parametrize("decades", [2.0, 6.0])
def test_steps_lead_back_to_the_rows(decades: float) -> None:
    """After a full step every row holds, at whatever prices of the groups."""
    work = started(fleet(6), decades, 1)
    count, done = work.cells.gain.shape[1], np.zeros(work.parts, dtype=bool)
    state = (work.cells, work.links, work.box, work.pieces, work.blocks, work.alone)
    turns = len(work.blocks.start)
    linked.factorise(*state, done, 0, turns)
    rng = np.random.default_rng(0)
    price, step = rng.normal(size=(2, 2, count))
    linked.respond(*state, price, done, 0, turns)
    linked.follow(*state, step, done, 0, turns)
    for cell in np.flatnonzero(work.links.place >= 0):
        matrix, inverse, _ = dense(work, cell)
        at = work.links.place[cell]
        rows = slice(work.links.row_start[at], work.links.row_start[at + 1])
        moved = -(work.box.pull * work.box.inverse)[cell].reshape(-1)
        own = np.zeros(rows.stop - rows.start)
        for k in range(work.cells.piece_start[cell], work.cells.piece_start[cell + 1]):
            more, place = -work.pieces.pull[k] * work.pieces.inverse[k], work.cells.piece_at[k]
            if place < len(moved):
                moved[place] += more
            else:
                own[place - len(moved)] += more
        left = work.links.miss[rows] + matrix @ moved - own
        largest = np.abs(matrix) @ np.abs(moved) + np.abs(own)
        assert (np.abs(left) <= 1e-9 * largest.max()).all()
        assert inverse.max() > 1.0


@pytest.mark.parametrize("seed", range(3))
def test_a_fleet_costs_what_the_monolith_says(seed: int) -> None:
    problem = fleet(24, seed)
    plan, truth = solve_structured(problem, gap=1e-6), solve(problem, solver="monolith")
    assert plan.certificate is not None
    assert truth.certificate is not None
    assert truth.solver is not None
    assert truth.solver.binaries == 0
    assert plan.certificate.gap <= 1e-5
    assert plan.certificate.worst_violation <= 1e-6
    assert plan.certificate.profit == pytest.approx(truth.certificate.profit, rel=1e-5)
    assert plan.multipliers is not None
    for name in ("ramp_up_per_kw", "ramp_down_per_kw", "cycles_per_kwh", "target_min_per_kwh"):
        assert (getattr(plan.multipliers, name) > 1e-3).any(), name


def test_a_ramp_that_nothing_can_keep_is_paid_for() -> None:
    problem = make_problem(
        batteries=[{"p_kw_initial": 5.0, "ramp_down_kw_per_h": 1.0, "p_charge_kw_max": 2.0}]
    )
    plan, truth = solve_structured(problem, gap=1e-6), solve(problem, solver="monolith")
    assert plan.certificate is not None
    assert truth.certificate is not None
    (breach,) = plan.breaches
    assert (breach.kind, breach.side) == ("ramp", "below")
    assert breach.size == pytest.approx(2.0)
    assert plan.certificate.cost == pytest.approx(truth.certificate.cost)


def test_a_cap_of_nothing_lets_nothing_move() -> None:
    problem = make_problem(batteries=[{"cycles_per_day_max": 0.0}], price_import=[0.1, 0.5] * 2)
    plan = solve_structured(problem, gap=1e-6)
    assert plan.certificate is not None
    assert not plan.p_charge_kw.any()
    assert not plan.p_discharge_kw.any()
    assert plan.certificate.gap_absolute <= 1e-6


def test_the_bits_do_not_depend_on_the_number_of_threads() -> None:
    problem = fleet(90)
    one, two = (solve_structured(problem, threads=threads) for threads in (1, 2))
    assert one.digest == two.digest
