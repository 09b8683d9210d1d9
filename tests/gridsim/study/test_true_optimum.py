"""The rounds against an optimum of the true AC problem that is found in another way.

The other way watches every bus, line and transformer in every interval, takes slopes as differences
of the power flow itself, solves each linear programme with scipy, and closes in with a trust region
around the best plan that the power flow found in order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy import sparse
from scipy.optimize import linprog

from gridsim.scenario import scenario_from_mapping
from gridsim.study.study import Study
from optimizer.certificate import cost_of, idle_cost
from tests.gridsim.studies import small_scenario

if TYPE_CHECKING:
    from pathlib import Path

    from optimizer.problem import DispatchProblem

STEP_KW = 0.05


@dataclass
class Model:
    """Rows and prices of a problem of batteries alone; unknowns are charge, discharge, energy."""

    problem: DispatchProblem
    study: Study

    def __post_init__(self) -> None:
        self.shape = self.problem.shape
        self.size = self.shape[0] * self.shape[1]
        b, hours = self.problem.batteries, self.problem.grid.step_h
        price = self.problem.price_import_per_kwh * hours
        self.cost = np.concatenate([
            np.tile(price, self.shape[0]),
            (b.wear_cost_discharge_per_kwh[:, None] * hours - price).ravel(),
            np.zeros(self.size),
        ])  # fmt: skip
        kept = self.problem.energy_after_loss
        rows = np.arange(self.size)
        later = rows[rows % self.shape[1] > 0]
        before = sparse.csr_matrix(
            (kept.ravel()[later], (later, later - 1)), shape=(self.size, self.size)
        )
        self.balance = sparse.hstack([
            -sparse.diags((b.efficiency_charge * hours).ravel()),
            sparse.diags((hours / b.efficiency_discharge).ravel()),
            sparse.eye(self.size) - before,
        ])  # fmt: skip
        gain = b.inflow_kw * hours
        gain = gain.copy()
        gain[:, 0] += kept[:, 0] * b.energy_kwh_initial
        self.gain = gain.ravel()
        self.energy_min = b.energy_kwh_min[:, 1:].copy()
        self.energy_min[:, -1] = np.maximum(self.energy_min[:, -1], b.energy_kwh_initial)

    def values(self, p_kw: np.ndarray) -> np.ndarray:
        """Everything that is limited, as "must not exceed 0": shape (value, time)."""
        carrier, grid = self.study.carrier, self.study.built.grid
        template = self.study.plan(grid_limits=False).p_kw
        flow = carrier.power_flow.flow(template.copy(data=p_kw))
        v_pu = flow["v_pu"].to_numpy()
        return np.concatenate([
            v_pu - grid.buses.v_pu_max[:, None],
            grid.buses.v_pu_min[:, None] - v_pu,
            flow["line_loading"].to_numpy() - grid.lines.loading_max[:, None],
            flow["transformer_loading"].to_numpy() - grid.transformers.loading_max[:, None],
        ])  # fmt: skip

    def slopes(self, p_kw: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Change with each battery's power in its interval, shape (battery, value, time)."""
        found = []
        for battery in range(self.shape[0]):
            moved = p_kw.copy()
            moved[battery] += STEP_KW
            found.append((self.values(moved) - values) / STEP_KW)
        return np.array(found)

    def solved(self, p_kw: np.ndarray, radius_kw: float) -> np.ndarray | None:
        """The best powers of the linear problem within `radius_kw` of `p_kw`."""
        values = self.values(p_kw)
        slopes = self.slopes(p_kw, values)
        value, at = np.nonzero(values > -0.15)
        entries, columns, rows = [], [], []
        for battery in range(self.shape[0]):
            entries.append(slopes[battery, value, at])
            columns.append(battery * self.shape[1] + at)
            rows.append(np.arange(value.size))
        one = sparse.csr_matrix(
            (np.concatenate(entries), (np.concatenate(rows), np.concatenate(columns))),
            shape=(value.size, self.size),
        )
        net = sparse.hstack([sparse.eye(self.size), -sparse.eye(self.size)])
        grid = sparse.hstack([one @ net, sparse.csr_matrix((value.size, self.size))])
        near = sparse.hstack([net, sparse.csr_matrix((self.size, self.size))])
        b = self.problem.batteries
        limits = np.concatenate([
            one @ p_kw.ravel() - values[value, at],
            p_kw.ravel() + radius_kw,
            radius_kw - p_kw.ravel(),
        ])  # fmt: skip
        low = np.concatenate([np.zeros(2 * self.size), self.energy_min.ravel()])
        high = np.concatenate([
            b.p_charge_kw_max.ravel(), b.p_discharge_kw_max.ravel(),
            b.energy_kwh_max[:, 1:].ravel(),
        ])  # fmt: skip
        answer = linprog(
            self.cost,
            A_ub=sparse.vstack([grid, near, -near]).tocsr(),
            b_ub=limits,
            A_eq=self.balance.tocsr(),
            b_eq=self.gain,
            bounds=np.stack([low, high], axis=1),
            method="highs",
        )
        if answer.status != 0:
            return None
        charge, discharge, _ = np.split(answer.x, 3)
        return np.asarray((charge - discharge).reshape(self.shape))

    def profit(self, p_kw: np.ndarray) -> float:
        """As the certificate reckons it."""
        powers = (np.maximum(p_kw, 0), np.maximum(-p_kw, 0), self.problem.generators.p_kw_available)
        return idle_cost(self.problem).total - cost_of(self.problem, *powers).total


def best_plan(model: Model, radius_kw: float, rounds: int) -> float:
    """Profit of the best plan that the power flow finds in order."""
    at = model.study.plan().p_kw.to_numpy()
    best = 0.0
    for _ in range(rounds):
        found = model.solved(at, radius_kw)
        if found is None:
            radius_kw *= 2.0
            continue
        at = found
        excess = float(model.values(found).max())
        if excess <= 1e-6:
            best = max(best, model.profit(found))
        radius_kw *= 0.75
    return best


@pytest.mark.parametrize("energy_kwh", [30.0, 60.0])
def test_the_plan_is_as_good_as_the_best_that_the_true_grid_carries(
    tmp_path: Path, energy_kwh: float
) -> None:
    scenario = small_scenario(tmp_path)
    scenario["fleet"]["rule"]["energy_kwh"] = energy_kwh
    study = Study.load(scenario_from_mapping(scenario))
    run = study.run()
    assert run.passed
    best = best_plan(Model(study.problem(grid_limits=False), study), 40.0, 20)
    assert best > 0
    profit = run.summary["profit"]
    assert profit >= 0.99 * best
    assert profit <= 1.001 * best
