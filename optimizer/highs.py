"""HiGHS behind a Pyomo model: one compiled hand-over, honest words back.

Pyomo's own HiGHS interfaces walk the model in Python once more after it is built. Here the model is
compiled to one sparse matrix and handed over whole (figures in ``docs/formulation.md``).
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import highspy
import numpy as np
from pyomo.repn.plugins.standard_form import LinearStandardFormCompiler

from optimizer.errors import SolveError
from optimizer.plan import StopReason

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyomo.environ as pyo

    Floats = npt.NDArray[np.float64]

FEASIBILITY_TOLERANCE = 1e-9
"""Of rows, columns and reduced costs: plans are checked to 1e-6 after 48 and more balances."""
_EQUAL, _AT_MOST = 0, 1
_INTERRUPTED = (
    highspy.HighsModelStatus.kInterrupt,
    highspy.HighsModelStatus.kSolutionLimit,
    highspy.HighsModelStatus.kMemoryLimit,
)


class _QuietHighs(highspy.Highs):  # type: ignore[misc]  # its base is compiled, so untyped
    """HiGHS without the callbacks of its Python class, which nobody uses here.

    Enabling them prints a banner before any option can silence it.
    """

    def enableCallbacks(self) -> None:
        """Leave them off."""


@dataclass(frozen=True, eq=False)
class Matrix:
    """A model as HiGHS takes it, and where its columns and rows come from.

    Attributes:
        lp: HiGHS' own form.
        columns: Pyomo's variables by column.
        rows: Pyomo's constraints by row.
        offset: constant of the objective.
        integers: number of integer columns.
    """

    lp: Any
    columns: list[Any]
    rows: list[Any]
    offset: float
    integers: int

    @property
    def size(self) -> tuple[int, int, int]:
        """Columns, rows, nonzeros."""
        return len(self.columns), len(self.rows), len(self.lp.a_matrix_.value_)


@dataclass(frozen=True, eq=False)
class Answer:
    """Values by column and row.

    Attributes:
        values: by column.
        row_duals: change of the objective by a unit more on the right-hand side, or None.
        objective: of `values`.
        bound: proven lower bound on the objective, −inf if there is none.
        stop_reason: why it stopped.
        is_proven: whether the gap asked for was reached.
    """

    values: Floats
    row_duals: Floats | None
    objective: float
    bound: float
    stop_reason: StopReason
    is_proven: bool


def compile_model(model: pyo.ConcreteModel) -> Matrix:
    """One pass from a Pyomo model to HiGHS' matrix."""
    form = LinearStandardFormCompiler().write(model, mixed_form=True, set_sense=None)
    rhs = np.asarray(form.rhs, dtype=float)
    kind = np.fromiter((row.bound_type for row in form.rows), dtype=np.int64, count=len(form.rows))
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = len(form.columns), len(form.rows)
    lp.col_cost_ = np.asarray(form.c.todense(), dtype=float).ravel()
    lower, upper, integer = _column_bounds(form.columns)
    lp.col_lower_, lp.col_upper_ = lower, upper
    lp.row_lower_ = np.where(kind == _AT_MOST, -highspy.kHighsInf, rhs)
    lp.row_upper_ = np.where((kind == _AT_MOST) | (kind == _EQUAL), rhs, highspy.kHighsInf)
    lp.offset_ = offset = float(form.c_offset[0])
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    lp.a_matrix_.num_col_, lp.a_matrix_.num_row_ = lp.num_col_, lp.num_row_
    lp.a_matrix_.start_ = form.A.indptr
    lp.a_matrix_.index_ = form.A.indices
    lp.a_matrix_.value_ = form.A.data
    if integer.any():
        kinds = (highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger)
        lp.integrality_ = [kinds[flag] for flag in integer.tolist()]
    rows = [row.constraint for row in form.rows]
    return Matrix(lp, form.columns, rows, offset, int(integer.sum()))


def _column_bounds(columns: list[Any]) -> tuple[Floats, Floats, npt.NDArray[np.bool_]]:
    """Bounds and integrality of Pyomo's variables."""
    infinity = highspy.kHighsInf
    bounds = [column.bounds for column in columns]
    lower = np.array([-infinity if low is None else low for low, _ in bounds], dtype=float)
    upper = np.array([infinity if high is None else high for _, high in bounds], dtype=float)
    integer = np.fromiter((not v.is_continuous() for v in columns), dtype=bool, count=len(columns))
    return lower, upper, integer


@dataclass(frozen=True)
class Effort:
    """How far to go.

    Attributes:
        gap: largest relative gap, of the objective less `reference`.
        gap_absolute: largest gap in units of the objective; either gap ends the search.
        reference: taken off the objective before its relative gap is measured.
        time_limit_s: None for no limit.
        threads: None for all that the machine has.
    """

    gap: float = 0.0
    gap_absolute: float = 0.0
    reference: float = 0.0
    time_limit_s: float | None = None
    threads: int | None = None


def solver_name() -> str:
    """Name and version, e.g. "HiGHS 1.16.0"."""
    major, minor = highspy.HIGHS_VERSION_MAJOR, highspy.HIGHS_VERSION_MINOR
    return f"HiGHS {major}.{minor}.{highspy.HIGHS_VERSION_PATCH}"


def solve_matrix(matrix: Matrix, effort: Effort) -> Answer:
    """Solve, and for a model with integers solve the rest once more for the row duals.

    Raises:
        SolveError: no answer: a numerical failure, a limit without an incumbent, or a model that is
            infeasible or unbounded (the formulation never is).
    """
    solver = load_matrix(matrix, effort)
    solver.run()
    stop_reason, is_proven = _stop_of(solver, matrix.integers > 0)
    info, solution = solver.getInfo(), solver.getSolution()
    values = np.array(solution.col_value)
    objective = info.objective_function_value + effort.reference
    if not matrix.integers:
        duals = np.array(solution.row_dual)
        return Answer(values, duals, objective, objective, stop_reason, is_proven)
    bound = info.mip_dual_bound + effort.reference
    found = Answer(values, None, objective, bound, stop_reason, is_proven)
    return _with_duals(matrix, found, effort)


def load_matrix(matrix: Matrix, effort: Effort) -> highspy.Highs:
    """A solver that holds the model; HiGHS' own default is half of the threads."""
    highspy.Highs.resetGlobalScheduler(True)  # a pool of another size would be an error
    solver = _QuietHighs()
    options: dict[str, Any] = {
        "output_flag": False,
        "threads": effort.threads or os.cpu_count() or 1,
        "mip_rel_gap": effort.gap,
        "mip_abs_gap": effort.gap_absolute,
        "primal_feasibility_tolerance": FEASIBILITY_TOLERANCE,
        "dual_feasibility_tolerance": FEASIBILITY_TOLERANCE,
    }
    if effort.time_limit_s is not None:
        options["time_limit"] = effort.time_limit_s
    for name, value in options.items():
        if solver.setOptionValue(name, value) == highspy.HighsStatus.kError:
            raise SolveError(f"HiGHS refuses {name} = {value!r}")
    matrix.lp.offset_ = matrix.offset - effort.reference
    if solver.passModel(matrix.lp) == highspy.HighsStatus.kError:
        raise SolveError("HiGHS refuses the model")
    return solver


def _stop_of(solver: highspy.Highs, has_integers: bool) -> tuple[StopReason, bool]:
    """Why the solver stopped and whether it proved its answer; an error if there is none."""
    status = solver.getModelStatus()
    if status in (highspy.HighsModelStatus.kOptimal, highspy.HighsModelStatus.kModelEmpty):
        return StopReason.GAP_REACHED, True
    words = solver.modelStatusToString(status)
    found = highspy.SolutionStatus.kSolutionStatusFeasible
    # A linear problem that was stopped has no proof, and its point is no better than any other.
    if not has_integers or solver.getInfo().primal_solution_status != found:
        raise SolveError(f"HiGHS stopped without a plan: {words}")
    if status == highspy.HighsModelStatus.kTimeLimit:
        return StopReason.TIME_LIMIT, False
    if status in _INTERRUPTED:
        return StopReason.INTERRUPTED, False
    raise SolveError(f"HiGHS: {words}")


def _with_duals(matrix: Matrix, found: Answer, effort: Effort) -> Answer:
    """The linear problem that is left at the incumbent's integers: exact values and row duals.

    If rounding the integers broke it, the incumbent stands as it was found, without duals.
    """
    integer = np.array([kind == highspy.HighsVarType.kInteger for kind in matrix.lp.integrality_])
    lower, upper = np.array(matrix.lp.col_lower_), np.array(matrix.lp.col_upper_)
    lower[integer] = upper[integer] = np.round(found.values[integer])
    solver = load_matrix(matrix, replace(effort, time_limit_s=None))
    columns = np.arange(len(lower), dtype=np.int32)
    solver.changeColsIntegrality(len(columns), columns, np.zeros(len(columns), dtype=np.uint8))
    solver.changeColsBounds(len(columns), columns, lower, upper)
    solver.run()
    if solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        return found
    solution = solver.getSolution()
    objective = solver.getInfo().objective_function_value + effort.reference
    values, duals = np.array(solution.col_value), np.array(solution.row_dual)
    return replace(found, values=values, row_duals=duals, objective=objective)
