"""The electrical model of a grid, as pandapower builds it: admittances and where things sit.

pandapower does the modelling (taps, phase shifts, parallel units, three windings, open switches,
what is out of service); this module reads the matrices it arrives at, so that many injections can
be solved without building them again. All quantities here are in per unit of `base_mva`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandapower as pp
from pandapower.pypower.idx_brch import F_BUS, T_BUS
from pandapower.pypower.idx_bus import BASE_KV, PD, QD
from pandapower.pypower.idx_gen import GEN_BUS, PG

from gridsim.grid.errors import grid_fault, others_deprecations

if TYPE_CHECKING:
    import numpy.typing as npt
    from scipy import sparse

    Floats = npt.NDArray[np.float64]
    Complexes = npt.NDArray[np.complex128]
    Positions = npt.NDArray[np.int64]

FOREIGN_ELEMENTS = ("svc", "tcsc", "ssc", "vsc", "bus_dc", "dcline")
"""Elements whose equations are not in the admittance matrix: pandapower's own Newton is needed."""


@dataclass(frozen=True, eq=False)
class Monitor:
    """Branches whose loading is watched: elements with two or three measured ends.

    Attributes:
        rows: end currents, as rows of the stacked matrix ``[from; to; zero]``, shape (element, k).
        factors: loading per per-unit current at that end, shape (element, k).
    """

    rows: Positions
    factors: Floats

    @property
    def power_row(self) -> Positions:
        """The from or high-voltage end, whose active power is reported; shape (element,)."""
        return self.rows[:, 0]


@dataclass(frozen=True, eq=False)
class GridModel:
    """Matrices and look-ups of one grid.

    Attributes:
        base_mva: the power of one per unit.
        y_bus, y_from, y_to: nodal, from-end and to-end admittance matrices.
        from_node, to_node: the branches' ends, as nodes.
        ref, pv, pq: nodes with fixed voltage, fixed active power and voltage, fixed power.
        fixed: injections that no profile and no battery moves, shape (node,).
        node_of_bus: node of each bus, -1 where it is not energised.
        node_of_load, node_of_generator: the same for loads and static generators.
        lines, transformers: the monitored branches.
        transformer_branch: whether a branch belongs to a transformer, shape (branch,).
        branch_line, branch_transformer: which row of the grid's tables a branch is, or -1.
        v_nominal: the nodes' voltages at nominal loads, as pandapower solved them.
        foreign: kinds of element that only pandapower's own Newton can solve.
    """

    base_mva: float
    y_bus: sparse.csc_matrix
    y_from: sparse.csr_matrix
    y_to: sparse.csr_matrix
    from_node: Positions
    to_node: Positions
    ref: Positions
    pv: Positions
    pq: Positions
    fixed: Complexes
    node_of_bus: Positions
    node_of_load: Positions
    node_of_generator: Positions
    lines: Monitor
    transformers: Monitor
    branch_line: Positions
    branch_transformer: Positions
    v_nominal: Complexes
    s_nominal: Complexes
    foreign: tuple[str, ...]

    @property
    def node_count(self) -> int:
        """The number of nodes; switches fuse buses, so it may be smaller than that of buses."""
        return int(self.y_bus.shape[0])


def build_model(net: Any, source: str) -> GridModel:
    """Solve `net` once at its nominal powers and read the matrices.

    Raises:
        GridError: pandapower cannot build the model, or the base case does not converge.
    """
    internal = _solve_nominal(net, source)
    bus, gen, branch = internal["bus"], internal["gen"], internal["branch"]
    node_count = bus.shape[0]
    nodes = _nodes(net, node_count)
    ref = np.asarray(internal["ref"], dtype=np.int64)
    demand = -(bus[:, PD] + 1j * bus[:, QD]).astype(np.complex128)
    machines = _machine_injection(gen, ref, internal["ref_gens"], node_count)
    node_of_load, node_of_generator = nodes(net.load), nodes(net.sgen)
    moved = _nominal_injection(net.load, node_of_load, -1.0, node_count)
    moved += _nominal_injection(net.sgen, node_of_generator, 1.0, node_count)
    base = float(internal["baseMVA"])
    ends = _Ends(net, internal)
    branch_line, branch_transformer = ends.owners()
    return GridModel(
        base_mva=base,
        y_bus=internal["Ybus"].tocsc(),
        y_from=internal["Yf"].tocsr(),
        y_to=internal["Yt"].tocsr(),
        from_node=branch[:, F_BUS].real.astype(np.int64),
        to_node=branch[:, T_BUS].real.astype(np.int64),
        ref=ref,
        pv=np.asarray(internal["pv"], dtype=np.int64),
        pq=np.asarray(internal["pq"], dtype=np.int64),
        fixed=(demand + machines - moved) / base,
        node_of_bus=nodes(net.bus.index),
        node_of_load=node_of_load,
        node_of_generator=node_of_generator,
        lines=ends.lines(),
        transformers=ends.transformers(),
        branch_line=branch_line,
        branch_transformer=branch_transformer,
        v_nominal=np.array(internal["V"], dtype=np.complex128),
        s_nominal=(demand + machines) / base,
        foreign=_foreign(net),
    )


def _solve_nominal(net: Any, source: str) -> Any:
    try:
        with others_deprecations():
            pp.runpp(net, numba=False)
    except pp.LoadflowNotConverged as error:
        allowed = "the AC power flow must converge at the grid's nominal loads"
        raise grid_fault(source, "base case", str(error), allowed) from error
    except Exception as error:
        allowed = "pandapower must be able to solve the grid"
        raise grid_fault(
            source, "base case", f"{type(error).__name__}: {error}", allowed
        ) from error
    return net._ppc["internal"]


def _nodes(net: Any, node_count: int) -> Any:
    """A function from a frame with a bus column, or bus indices, to nodes (-1 where dead)."""
    lookup = np.asarray(net._pd2ppc_lookups["bus"])

    def nodes(frame_or_index: Any) -> Positions:
        column = frame_or_index["bus"] if hasattr(frame_or_index, "columns") else frame_or_index
        at = lookup[np.asarray(column, dtype=np.int64)].astype(np.int64)
        return np.where(at < node_count, at, -1)

    return nodes


def _machine_injection(gen: Any, ref: Positions, ref_gens: Any, node_count: int) -> Complexes:
    """Active power of the generators that are not the upstream grid. [MVA]"""
    injection = np.zeros(node_count, dtype=np.complex128)
    others = np.setdiff1d(np.arange(gen.shape[0]), ref_gens)
    np.add.at(injection, gen[others, GEN_BUS].real.astype(np.int64), gen[others, PG].real)
    return injection


def _nominal_injection(frame: Any, node: Positions, sign: float, node_count: int) -> Complexes:
    """What pandapower has put into the nodes for loads or static generators. [MVA]"""
    scaling = frame.scaling.to_numpy(dtype=np.float64) * frame.in_service.to_numpy(dtype=bool)
    power = (frame.p_mw.to_numpy(np.float64) + 1j * frame.q_mvar.to_numpy(np.float64)) * scaling
    injection = np.zeros(node_count, dtype=np.complex128)
    np.add.at(injection, node[node >= 0], sign * power[node >= 0])
    return injection


def _foreign(net: Any) -> tuple[str, ...]:
    kinds = [kind for kind in FOREIGN_ELEMENTS if kind in net and len(net[kind])]
    shares = [name for name in net.load.columns if name.startswith("const_")]
    if len(net.load) and (net.load[shares].fillna(0.0).to_numpy(dtype=np.float64) != 0).any():
        kinds.append("voltage-dependent loads")
    return tuple(kinds)


class _Ends:
    """Where the ends of lines and transformers sit among pandapower's branch rows."""

    def __init__(self, net: Any, internal: Any) -> None:
        self.net = net
        self.spans = net._pd2ppc_lookups["branch"]
        present = np.asarray(internal["branch_is"], dtype=bool)
        self.row = np.where(present, np.cumsum(present) - 1, -1)
        self.count = int(present.sum())
        branch, base_kv = internal["branch"], internal["bus"][:, BASE_KV].real
        base = float(internal["baseMVA"]) / np.sqrt(3.0)
        self.i_base_ka = [base / base_kv[branch[:, at].real.astype(int)] for at in (F_BUS, T_BUS)]

    def lines(self) -> Monitor:
        line = self.net.line
        i_max_ka = (line.max_i_ka * line.df * line.parallel).to_numpy(dtype=np.float64)
        with np.errstate(divide="ignore"):
            per_ka = 1.0 / i_max_ka
        rows = self._rows("line", 0, 1)
        return self._monitor([(rows, 0, per_ka), (rows, 1, per_ka)])

    def transformers(self) -> Monitor:
        two, three = self.net.trafo, self.net.trafo3w
        s_mva = (two.sn_mva * two.parallel * two.df).to_numpy(dtype=np.float64)
        rows = self._rows("trafo", 0, 1)
        pair = [
            (rows, end, np.sqrt(3.0) * two[kv].to_numpy(dtype=np.float64) / s_mva)
            for end, kv in ((0, "vn_hv_kv"), (1, "vn_lv_kv"))
        ]
        triple = [
            (
                self._rows("trafo3w", part, 3),
                0 if part == 0 else 1,
                np.sqrt(3.0) * (three[f"vn_{side}_kv"] / three[f"sn_{side}_mva"]).to_numpy(float),
            )
            for part, side in enumerate(("hv", "mv", "lv"))
        ]
        pairs, triples = self._monitor(pair), self._monitor(triple)
        # A third, empty end makes one table of both kinds.
        empty = np.full((len(two), 1), 2 * self.count, dtype=np.int64)
        return Monitor(
            np.concatenate([np.hstack([pairs.rows, empty]), triples.rows]),
            np.concatenate([np.hstack([pairs.factors, np.zeros((len(two), 1))]), triples.factors]),
        )

    def owners(self) -> tuple[Positions, Positions]:
        """For each branch, its row in the line table and in the transformer table, or -1."""
        line, transformer = (np.full(self.count, -1, dtype=np.int64) for _ in range(2))
        self._own(line, "line", len(self.net.line), 0)
        self._own(transformer, "trafo", len(self.net.trafo), 0)
        self._own(transformer, "trafo3w", len(self.net.trafo3w), len(self.net.trafo))
        return line, transformer

    def _own(self, owner: Positions, kind: str, count: int, offset: int) -> None:
        first, last = self.spans.get(kind, (0, 0))
        rows = self.row[first:last]
        element = offset + np.arange(last - first) % max(count, 1)
        owner[rows[rows >= 0]] = element[rows >= 0]

    def _rows(self, kind: str, part: int, parts: int) -> Positions:
        first, last = self.spans.get(kind, (0, 0))
        size = (last - first) // parts
        return self.row[first + part * size : first + (part + 1) * size]

    def _monitor(self, ends: list[tuple[Positions, int, Floats]]) -> Monitor:
        rows, factors = [], []
        for row, end, per_ka in ends:
            present = row >= 0
            factor = np.zeros(row.size)
            factor[present] = self.i_base_ka[end][row[present]] * per_ka[present]
            rows.append(np.where(present, row + end * self.count, 2 * self.count))
            factors.append(factor)
        return Monitor(np.stack(rows, axis=1), np.stack(factors, axis=1))
