"""HiGHS behind arrays: the same problem as one sparse matrix, written by hand with numpy.

What remains of a modelling layer's time when there is no layer. Options: ``exact`` adds the
integers (steps, least powers, no charging while discharging where the price alone would reward it);
without it the linear relaxation is solved. ``method`` is HiGHS' own: simplex, ipm, choose.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import highspy
import numpy as np
from exchange import WHOLE, Answer, contest
from scipy import sparse

if TYPE_CHECKING:
    from exchange import Instance


class Program:
    """Columns and rows that grow in blocks of arrays."""

    def __init__(self) -> None:
        self.columns = 0
        self.rows = 0
        self.bounds: list[tuple[np.ndarray, np.ndarray, np.ndarray, bool]] = []
        self.sides: list[tuple[np.ndarray, np.ndarray]] = []
        self.entries: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    def add_columns(
        self, lower: Any, upper: Any, cost: Any, shape: tuple[int, ...], *, integer: bool = False
    ) -> np.ndarray:
        """A block of columns; returns their indices in its shape."""
        block = [np.broadcast_to(value, shape).ravel() for value in (lower, upper, cost)]
        self.bounds.append((block[0], block[1], block[2], integer))
        found = np.arange(self.columns, self.columns + len(block[0])).reshape(shape)
        self.columns += len(block[0])
        return found

    def add_rows(self, lower: Any, upper: Any, *terms: tuple[np.ndarray, Any]) -> np.ndarray:
        """``lower ≤ Σ columns · values ≤ upper``, one row for each entry of the terms' columns."""
        shape = terms[0][0].shape
        rows = np.arange(self.rows, self.rows + terms[0][0].size).reshape(shape)
        for columns, values in terms:
            self.add_entries(rows, columns, values)
        sides = [np.broadcast_to(value, shape).ravel() for value in (lower, upper)]
        self.sides.append((sides[0], sides[1]))
        self.rows += rows.size
        return rows

    def add_entries(self, rows: np.ndarray, columns: np.ndarray, values: Any) -> None:
        values = np.broadcast_to(values, columns.shape)
        self.entries.append((rows.ravel(), columns.ravel(), values.ravel()))

    def to_highs(self) -> highspy.HighsLp:
        row, column, value = (np.concatenate(part) for part in zip(*self.entries, strict=True))
        matrix = sparse.csc_matrix((value, (row, column)), shape=(self.rows, self.columns))
        lower, upper, cost = (
            np.concatenate([block[i] for block in self.bounds]).astype(float) for i in range(3)
        )
        lp = highspy.HighsLp()
        lp.num_col_, lp.num_row_ = self.columns, self.rows
        lp.col_lower_, lp.col_upper_, lp.col_cost_ = lower, upper, cost
        lp.row_lower_ = np.concatenate([side[0] for side in self.sides]).astype(float)
        lp.row_upper_ = np.concatenate([side[1] for side in self.sides]).astype(float)
        lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
        lp.a_matrix_.num_col_, lp.a_matrix_.num_row_ = self.columns, self.rows
        lp.a_matrix_.start_, lp.a_matrix_.index_ = matrix.indptr, matrix.indices
        lp.a_matrix_.value_ = matrix.data
        if any(block[3] for block in self.bounds):
            kinds = (highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger)
            lp.integrality_ = [kinds[b[3]] for b in self.bounds for _ in range(len(b[0]))]
        return lp


def formulate(instance: Instance, *, exact: bool) -> tuple[Program, np.ndarray, np.ndarray]:
    """The program, and its columns of charge and discharge, shape (N, T)."""
    program, (batteries, intervals) = Program(), instance.shape
    shape, step_h = (batteries, intervals), instance.step_h

    def each(column: np.ndarray) -> np.ndarray:
        return np.broadcast_to(column[:, None], shape)

    wear_in, wear_out = each(instance.wear_charge_per_kwh), each(instance.wear_discharge_per_kwh)
    cost_in = (instance.price_import_per_kwh + wear_in) * step_h
    cost_out = (wear_out - instance.price_export_per_kwh) * step_h
    charge = program.add_columns(0.0, each(instance.p_charge_kw_max), cost_in, shape)
    discharge = program.add_columns(0.0, each(instance.p_discharge_kw_max), cost_out, shape)
    least = each(instance.energy_kwh_min).copy()
    least[:, -1] = np.maximum(least[:, -1], instance.energy_kwh_end_min)
    energy = program.add_columns(least, each(instance.energy_kwh_max), 0.0, shape)
    known = np.zeros(shape)
    known[:, 0] = instance.energy_kwh_initial
    balance = program.add_rows(
        known,
        known,
        (energy, 1.0),
        (charge, -each(instance.efficiency_charge) * step_h),
        (discharge, step_h / each(instance.efficiency_discharge)),
    )
    program.add_entries(balance[:, 1:], energy[:, :-1], -1.0)
    _add_groups(program, instance, charge, discharge)
    if exact:
        _add_integers(program, instance, charge, discharge)
    return program, charge, discharge


def _add_groups(
    program: Program, instance: Instance, charge: np.ndarray, discharge: np.ndarray
) -> None:
    """A column for the net of each group, bounded by its limits."""
    assert not (instance.limit_group == WHOLE).any()
    upper = np.full(instance.fixed_kw.shape, np.inf)
    np.minimum.at(upper, instance.limit_group, instance.limit_kw_max)
    lower = np.full(instance.fixed_kw.shape, -np.inf)
    np.maximum.at(lower, instance.limit_group, instance.limit_kw_min)
    net = program.add_columns(lower, upper, 0.0, instance.fixed_kw.shape)
    rows = program.add_rows(instance.fixed_kw, instance.fixed_kw, (net, 1.0))
    program.add_entries(rows[instance.group], charge, -1.0)
    program.add_entries(rows[instance.group], discharge, 1.0)
    below = np.flatnonzero(instance.parent != WHOLE)
    program.add_entries(rows[instance.parent[below]], net[below], -1.0)


def _add_integers(
    program: Program, instance: Instance, charge: np.ndarray, discharge: np.ndarray
) -> None:
    """Steps and least powers of the discrete batteries, and one direction at a time."""
    inf, discrete = np.inf, instance.is_discrete
    for rows in (np.flatnonzero(discrete & (instance.power_levels <= 1)),):
        _add_steps(program, instance, rows, charge, discharge)
    _add_steps(
        program, instance, np.flatnonzero(discrete & (instance.power_levels > 1)), charge, discharge
    )
    gain = instance.efficiency_charge * instance.efficiency_discharge
    price_in = instance.price_import_per_kwh + instance.wear_charge_per_kwh[:, None]
    price_out = instance.price_export_per_kwh - instance.wear_discharge_per_kwh[:, None]
    pays = (price_in < gain[:, None] * price_out) & ~discrete[:, None]
    battery, _ = np.nonzero(pays)
    charges = program.add_columns(0, 1, 0.0, battery.shape, integer=True)
    most_in, most_out = instance.p_charge_kw_max[battery], instance.p_discharge_kw_max[battery]
    program.add_rows(-inf, 0.0, (charge[pays], 1.0), (charges, -most_in))
    program.add_rows(-inf, most_out, (discharge[pays], 1.0), (charges, most_out))


def _add_steps(
    program: Program,
    instance: Instance,
    rows: np.ndarray,
    charge: np.ndarray,
    discharge: np.ndarray,
) -> None:
    """``least · k ≤ power ≤ most / levels · k`` with k whole, one direction at a time."""
    inf, shape = np.inf, (len(rows), instance.shape[1])
    levels = np.maximum(instance.power_levels[rows], 1)[:, None]
    steps = []
    for power, most, least in (
        (charge[rows], instance.p_charge_kw_max[rows], instance.p_charge_kw_min[rows]),
        (discharge[rows], instance.p_discharge_kw_max[rows], instance.p_discharge_kw_min[rows]),
    ):
        step = program.add_columns(0, levels, 0.0, shape, integer=True)
        size = most[:, None] / levels
        least = np.where(instance.power_levels[rows, None] > 0, size, least[:, None])
        program.add_rows(-inf, 0.0, (power, 1.0), (step, -size))
        program.add_rows(0.0, inf, (power, 1.0), (step, -least))
        steps.append(step)
    if not len(rows) or levels.max() == 1:
        program.add_rows(-inf, 1.0, (steps[0], 1.0), (steps[1], 1.0))
        return
    charges = program.add_columns(0, 1, 0.0, shape, integer=True)
    program.add_rows(-inf, 0.0, (steps[0], 1.0), (charges, -levels))
    program.add_rows(-inf, levels, (steps[1], 1.0), (charges, levels))


def plan(instance: Instance, answer: Answer, options: dict[str, Any]) -> None:
    with answer.phase("build"):
        program, charge, discharge = formulate(instance, exact=options["exact"])
        lp = program.to_highs()
    with answer.phase("solve"):
        solver = highspy.Highs()
        solver.setOptionValue("output_flag", False)
        solver.setOptionValue("solver", options.get("method", "choose"))
        solver.setOptionValue("time_limit", float(options["time_limit_s"]))
        solver.setOptionValue("mip_rel_gap", float(options["gap"]))
        solver.passModel(lp)
        solver.run()
    info, status = solver.getInfo(), solver.getModelStatus()
    found = highspy.SolutionStatus.kSolutionStatusFeasible
    if status != highspy.HighsModelStatus.kOptimal:
        answer.note = f"HiGHS stopped: {solver.modelStatusToString(status)}"
    if info.primal_solution_status != found:
        return
    with answer.phase("extract"):
        values = np.array(solver.getSolution().col_value)
    answer.give(values[charge], values[discharge])


if __name__ == "__main__":
    contest(plan, "highspy", "scipy")
