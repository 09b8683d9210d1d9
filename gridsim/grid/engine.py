"""Solving many injections on one grid: a fast Newton, and pandapower's own as the other road.

`KluEngine` hands pandapower's admittance matrix to lightsim2grid's Newton, whose factorisation is
reused from one interval to the next. It proves itself on the base case before it is used: where it
does not agree with pandapower, or where a grid holds elements whose equations are not in the
admittance matrix, `PandapowerEngine` runs pandapower once an interval.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandapower as pp
from scipy import sparse

from gridsim.grid.errors import others_deprecations
from gridsim.grid.units import injection_mva, mw_from_kw

try:
    from lightsim2grid.algorithm import NR_KLU
except ImportError:  # a platform without lightsim2grid still gets answers, more slowly
    NR_KLU = None

if TYPE_CHECKING:
    import numpy.typing as npt

    from gridsim.grid.model import GridModel
    from gridsim.grid.network import Grid

    Floats = npt.NDArray[np.float64]
    Complexes = npt.NDArray[np.complex128]
    Positions = npt.NDArray[np.int64]
    Booleans = npt.NDArray[np.bool_]

TOLERANCE_MVA = 1e-8
"""Largest power mismatch of a solved node; pandapower's default."""
ITERATIONS_MAX = 25
_AGREEMENT_PU = 1e-8


@dataclass(frozen=True, eq=False)
class Injection:
    """What the elements take and give, each of shape (element, interval). [kW, kvar]"""

    load_kw: Floats
    load_kvar: Floats
    generation_kw: Floats
    generation_kvar: Floats
    storage_kw: Floats
    storage_kvar: Floats


class Engine(Protocol):
    """Something that solves the AC power flow."""

    name: str

    def solve(self, injection: Injection, s_pu: Complexes) -> tuple[Complexes, Booleans]:
        """Node voltages, shape (node, interval), and which intervals converged."""
        ...


class KluEngine:
    """Newton with lightsim2grid's KLU factorisation.

    Every call starts from a fresh factorisation, so that the same call gives the same bits. An
    interval starts from the one before it, or from the unloaded grid where that has failed or
    where the start leads nowhere; so an interval that fails does not touch those beside it.
    """

    name = "lightsim2grid Newton (KLU)"

    def __init__(self, model: GridModel) -> None:
        self._model = model
        self._newton = NR_KLU()
        self._nodes = [np.asarray(n, dtype=np.int32) for n in (model.ref, model.pv, model.pq)]
        self._slack_weight = np.zeros(model.node_count)
        self._slack_weight[model.ref] = 1.0 / max(model.ref.size, 1)
        self._start = self._start_voltages()

    def solve(self, injection: Injection, s_pu: Complexes) -> tuple[Complexes, Booleans]:
        """Node voltages and which intervals converged, from the nodes' injections alone."""
        voltages = np.full(s_pu.shape, np.nan + 0j, dtype=np.complex128)
        converged = np.zeros(s_pu.shape[1], dtype=bool)
        self._newton = NR_KLU()
        start = self._start
        for at in range(s_pu.shape[1]):
            wanted = np.ascontiguousarray(s_pu[:, at])
            solved = self._solve_one(wanted, start)
            if solved is None and start is not self._start:
                solved = self._solve_one(wanted, self._start)
            start = self._start if solved is None else solved
            if solved is not None:
                voltages[:, at], converged[at] = solved, True
        return voltages, converged

    def agrees(self) -> bool:
        """Whether the base case comes out as pandapower has it."""
        solved = self._solve_one(self._model.s_nominal, self._start)
        return solved is not None and bool(
            np.abs(solved - self._model.v_nominal).max() < _AGREEMENT_PU
        )

    def _start_voltages(self) -> Complexes:
        """The unloaded grid: close to every light load, and never past the point of collapse."""
        solved = self._solve_one(self._model.fixed, self._model.v_nominal)
        return self._model.v_nominal if solved is None else solved

    def _solve_one(self, s_pu: Complexes, start: Complexes) -> Complexes | None:
        if not np.isfinite(s_pu).all():
            return None
        newton, (ref, pv, pq) = self._newton, self._nodes
        tolerance = TOLERANCE_MVA / self._model.base_mva
        solved = newton.solve(
            self._model.y_bus, start.copy(), s_pu, ref, self._slack_weight, pv, pq,
            ITERATIONS_MAX, tolerance,
        )  # fmt: skip
        # get_V() is a view into the solver, which the next solve overwrites.
        voltage = np.array(newton.get_V(), dtype=np.complex128) if solved else None
        if voltage is None or not np.isfinite(voltage).all():
            self._newton = NR_KLU()  # a failed factorisation must not be reused; reset() spoils it
            return None
        return voltage


class PandapowerEngine:
    """pandapower's own Newton, once an interval, for what the fast engine cannot model."""

    name = "pandapower Newton"

    def __init__(self, grid: Grid, storage_bus: Positions) -> None:
        self._model = grid.model
        self._net = grid.net_copy()
        self._storages = add_storages(self._net, storage_bus)

    def solve(self, injection: Injection, s_pu: Complexes) -> tuple[Complexes, Booleans]:
        """Node voltages and which intervals converged, from the elements' powers."""
        voltages = np.full(s_pu.shape, np.nan + 0j, dtype=np.complex128)
        converged = np.zeros(s_pu.shape[1], dtype=bool)
        for at in range(s_pu.shape[1]):
            set_powers(self._net, injection, self._storages, at)
            try:
                with others_deprecations():
                    pp.runpp(self._net, numba=False, tolerance_mva=TOLERANCE_MVA)
            except pp.LoadflowNotConverged:
                continue
            voltages[:, at] = self._net._ppc["internal"]["V"]
            converged[at] = True
        return voltages, converged


def choose_engine(grid: Grid, storage_bus: Positions) -> Engine:
    """The fast engine where it gives pandapower's answer, else pandapower's own."""
    if NR_KLU is not None and not grid.model.foreign:
        fast = KluEngine(grid.model)
        if fast.agrees():
            return fast
    return PandapowerEngine(grid, storage_bus)


def add_storages(net: Any, bus: Positions, names: Any = None) -> Any:
    """Attach one idle storage to each bus index; returns their pandapower indices."""
    return (
        pp.create_storages(net, buses=bus, p_mw=0.0, max_e_mwh=np.nan, q_mvar=0.0, name=names)
        if len(bus)
        else np.array([], dtype=np.int64)
    )


def set_powers(net: Any, injection: Injection, storages: Any, at: int) -> None:
    """Write the powers of interval `at` into the element tables of `net`."""
    for frame in (net.load, net.sgen):
        frame["scaling"] = 1.0
    net.load["p_mw"] = mw_from_kw(injection.load_kw[:, at])
    net.load["q_mvar"] = mw_from_kw(injection.load_kvar[:, at])
    net.sgen["p_mw"] = mw_from_kw(injection.generation_kw[:, at])
    net.sgen["q_mvar"] = mw_from_kw(injection.generation_kvar[:, at])
    net.storage.loc[storages, "p_mw"] = mw_from_kw(injection.storage_kw[:, at])
    net.storage.loc[storages, "q_mvar"] = mw_from_kw(injection.storage_kvar[:, at])


class NodeSums:
    """Adds up what elements take at their nodes, by sparse incidence matrices."""

    def __init__(self, model: GridModel, storage_node: Positions) -> None:
        self._model = model
        count = model.node_count
        self._load = _incidence(model.node_of_load, count)
        self._generator = _incidence(model.node_of_generator, count)
        self._storage = _incidence(storage_node, count)

    def s_pu(self, injection: Injection) -> Complexes:
        """Injections into the nodes, shape (node, interval), per unit of `base_mva`."""
        taken_kw = self._load @ injection.load_kw + self._storage @ injection.storage_kw
        taken_kw = taken_kw - self._generator @ injection.generation_kw
        taken_kvar = self._load @ injection.load_kvar + self._storage @ injection.storage_kvar
        taken_kvar = taken_kvar - self._generator @ injection.generation_kvar
        mva = injection_mva(taken_kw, taken_kvar)
        return mva / self._model.base_mva + self._model.fixed[:, np.newaxis]


def _incidence(node: Positions, node_count: int) -> sparse.csr_matrix:
    """Elements to nodes; an element at a dead bus reaches no node."""
    alive = np.flatnonzero(node >= 0)
    shape = (node_count, node.size)
    return sparse.csr_matrix((np.ones(alive.size), (node[alive], alive)), shape=shape)
