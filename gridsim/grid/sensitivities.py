"""How voltages and loadings answer to the batteries, to first order at a solved flow.

With x the angles and magnitudes that the power flow solves for, the balance of every node is
``S(x) = s`` and its Jacobian ``J = dS/dx``. A watched value ``y(x)`` then changes with the injected
active powers by

    dy/ds = λ,    Jᵀ λ = dy/dx

so one factorisation of J an interval and one pair of triangular solves for each watched value give
its answer to every node of the grid at once (the adjoint of the power flow).

A loading is that of the end with the largest current at the operating point, ``|I|`` times a
constant, whose derivative is ``Re(conj(I) dI) / |I|``.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import splu

from gridsim.grid.breaches import BUS, LINE
from gridsim.grid.units import KW_PER_MW

if TYPE_CHECKING:
    import numpy.typing as npt

    from gridsim.grid.model import GridModel
    from gridsim.grid.powerflow import OperatingPoint, PowerFlow

    Floats = npt.NDArray[np.float64]
    Complexes = npt.NDArray[np.complex128]
    Positions = npt.NDArray[np.int64]

_SOLVES_AT_ONCE = 64


@dataclass(frozen=True, eq=False)
class Watched:
    """Values of single elements in single intervals, as columns of equal length.

    Attributes:
        kind: ``"bus"`` (its voltage), ``"line"`` or ``"transformer"`` (its loading).
        position: row of the element in its table.
        interval: position on the flow's ``time``.
    """

    kind: npt.NDArray[np.str_]
    position: Positions
    interval: Positions

    def __len__(self) -> int:
        return int(self.kind.size)


def sensitivities(power_flow: PowerFlow, point: OperatingPoint, watched: Watched) -> Floats:
    """What each watched value gains with one more kW at each battery, shape (W, battery). [1/kW]

    Positive charges, so a voltage's sensitivities are negative as a rule. A battery at a node whose
    voltage is given has none.

    Args:
        power_flow: whose batteries are meant.
        point: from `PowerFlow.operating_point`, of all intervals.
        watched: in converged intervals only.
    """
    model = power_flow.grid.model
    found = np.zeros((len(watched), power_flow.storage_node.size))
    per_kw = -1.0 / (KW_PER_MW * model.base_mva)

    def answer(interval: int) -> None:
        rows = np.flatnonzero(watched.interval == interval)
        voltages = np.ascontiguousarray(point.voltages[:, interval])
        wanted = _Wanted(model, voltages, watched.kind[rows], watched.position[rows])
        found[rows] = per_kw * _answers(model, voltages, wanted)[:, power_flow.storage_node]

    # Each interval writes rows of its own, and SuperLU lets other threads run.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(answer, np.unique(watched.interval).tolist()))
    return found


def _answers(model: GridModel, voltages: Complexes, wanted: _Wanted) -> Floats:
    """dy/dP of each wanted value at each node, shape (value, node), per unit injected."""
    angled = np.concatenate([model.pv, model.pq])
    factors = splu(
        _jacobian(model, voltages, angled),
        permc_spec="MMD_AT_PLUS_A",
        diag_pivot_thresh=0.0,
        options={"SymmetricMode": True},
    )
    answers = np.zeros((wanted.count, model.node_count))
    for first in range(0, wanted.count, _SOLVES_AT_ONCE):
        rows = slice(first, min(first + _SOLVES_AT_ONCE, wanted.count))
        by_angle, by_size = wanted.gradients(rows)
        right = np.concatenate([by_angle[:, angled], by_size[:, model.pq]], axis=1)
        answers[rows, angled] = factors.solve(right.T, trans="T")[: angled.size].T
    return answers


def _jacobian(model: GridModel, voltages: Complexes, angled: Positions) -> sparse.csc_matrix:
    """Rows: P at `angled`, Q at pq nodes; columns: angles at `angled`, magnitudes at pq nodes."""
    y_bus, currents = model.y_bus, model.y_bus @ voltages
    at, unit = sparse.diags(voltages), sparse.diags(voltages / np.abs(voltages))
    by_angle = 1j * at @ (sparse.diags(currents) - y_bus @ at).conj()
    by_size = at @ (y_bus @ unit).conj() + sparse.diags(currents.conj()) @ unit
    by_angle, by_size = by_angle.tocsr(), by_size.tocsr()
    blocks = [
        [by_angle[angled][:, angled].real, by_size[angled][:, model.pq].real],
        [by_angle[model.pq][:, angled].imag, by_size[model.pq][:, model.pq].imag],
    ]
    return sparse.csc_matrix(sparse.bmat(blocks, format="csc"))


class _Wanted:
    """The watched values of one interval, with their slopes along angles and magnitudes."""

    def __init__(
        self,
        model: GridModel,
        voltages: Complexes,
        kind: npt.NDArray[np.str_],
        position: Positions,
    ) -> None:
        self.model = model
        self.voltages = voltages
        self.kind = kind
        self.position = position
        self.count = int(kind.size)

    def gradients(self, rows: slice) -> tuple[Floats, Floats]:
        """dy/d(angle) and dy/d(magnitude), each of shape (value, node)."""
        count = rows.stop - rows.start
        by_angle = np.zeros((count, self.model.node_count))
        by_size = np.zeros((count, self.model.node_count))
        for at in range(count):
            kind, position = self.kind[rows.start + at], int(self.position[rows.start + at])
            if kind == BUS:
                by_size[at, self.model.node_of_bus[position]] = 1.0
            else:
                nodes, slopes = self._loading(str(kind), position)
                volts = self.voltages[nodes]
                by_angle[at, nodes] = (slopes * 1j * volts).real
                by_size[at, nodes] = (slopes * volts / np.abs(volts)).real
        return by_angle, by_size

    def _loading(self, kind: str, position: int) -> tuple[Positions, Complexes]:
        """Nodes of the end with the largest current, and d(loading)/dV there before its real part
        is taken; none where no current flows."""
        model = self.model
        monitor = model.lines if kind == LINE else model.transformers
        branches = model.from_node.size
        largest, nodes, slopes = 0.0, np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.complex128)
        for row, factor in zip(monitor.rows[position], monitor.factors[position], strict=True):
            if row >= 2 * branches:
                continue
            matrix, at = (model.y_from, row) if row < branches else (model.y_to, row - branches)
            entries = slice(matrix.indptr[at], matrix.indptr[at + 1])
            ends, admittances = matrix.indices[entries], matrix.data[entries]
            current = complex(admittances @ self.voltages[ends])
            if factor * abs(current) > largest:
                largest = factor * abs(current)
                nodes = ends.astype(np.int64)
                slopes = factor * current.conjugate() / abs(current) * admittances
        return nodes, slopes
