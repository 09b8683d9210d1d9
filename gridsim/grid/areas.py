"""Which buses hang below which transformer and line: nested areas of a grid.

An area is everything that would go dark if one line, or one bank of parallel transformers, were
opened: the part of the grid that is fed through it alone. Such parts are nested or disjoint, so
they form a tree. Where a grid is meshed no single element feeds a part, and the meshed part belongs
to the nearest area around it.

Found with one depth-first search over nodes (Tarjan's bridges): edges between the same two nodes
count as one, and transformers between the same two islands of equal voltage count as one bank even
where they end on different busbars.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import networkx as nx
import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from gridsim.grid.network import Grid

    Positions = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Area:
    """A part of the grid fed through one element alone.

    Attributes:
        area_id: ``"transformer:<label>"`` or ``"line:<label>"``; a bank joins its labels by ``+``.
        kind: ``"transformer"`` or ``"line"``.
        parent_id: the nearest area around it, "" at the top.
        elements: rows of the transformer or line table that feed it.
        buses: rows of the bus table inside it, all areas within it included.
        head: row of a bus on the feeding side, -1 where the feeding node has no bus.
        s_kva: rating of the feeding elements together. [kVA]
    """

    area_id: str
    kind: str
    parent_id: str
    elements: tuple[int, ...]
    buses: Positions
    head: int
    s_kva: float


@dataclass(frozen=True, eq=False)
class AreaTree:
    """All areas of a grid, each after the area around it.

    Attributes:
        areas: the areas.
        parent: position of each area's parent, -1 at the top, shape (area,).
        of_bus: the smallest area around each bus, -1 for none, shape (bus,).
        of_line, of_transformer: the area that an element's power goes to: the one it feeds, or
            the smallest around it where it feeds none alone; -1 for none.
    """

    areas: tuple[Area, ...]
    parent: Positions
    of_bus: Positions
    of_line: Positions
    of_transformer: Positions

    def __len__(self) -> int:
        return len(self.areas)

    @cached_property
    def position(self) -> dict[str, int]:
        """Position of each area by its id."""
        return {area.area_id: at for at, area in enumerate(self.areas)}

    def ancestors(self, at: int) -> list[int]:
        """`at` and the areas around it, smallest first; empty for -1."""
        chain = []
        while at >= 0:
            chain.append(at)
            at = int(self.parent[at])
        return chain

    def sums(self, bus: Positions, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Sum of `values` (unit, time), which sit at rows `bus`, over each area: (area, time)."""
        totals = np.zeros((len(self.areas) + 1, *values.shape[1:]))
        np.add.at(totals, self.of_bus[bus], values)  # -1 collects what lies in no area
        for at in range(len(self.areas) - 1, -1, -1):
            totals[self.parent[at]] += totals[at]
        return totals[:-1]


def areas(grid: Grid) -> list[Area]:
    """The areas of `grid`, each after the area around it."""
    return list(area_tree(grid).areas)


def area_tree(grid: Grid) -> AreaTree:
    """The areas of `grid` with their nesting and what each element feeds."""
    return _Search(grid).tree()


class _Search:
    """The search's state: a graph with one edge for parallel branches, and its preorder."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self.model = grid.model
        self.graph = nx.Graph()
        self.graph.add_nodes_from(range(self.model.node_count))
        self._add_edges()
        self.order, self.parent = self._depth_first()
        self.first = np.full(self.model.node_count + 1, self.model.node_count + 1, dtype=np.int64)
        self.first[self.order] = np.arange(self.order.size)
        alive = np.flatnonzero(self.model.node_of_bus >= 0)
        entered = self.first[self.model.node_of_bus[alive]]
        self.bus_order = alive[np.argsort(entered, kind="stable")]
        self.bus_first = np.sort(entered)
        self.bus_of_node = np.full(self.model.node_count + 1, -1, dtype=np.int64)
        self.bus_of_node[self.model.node_of_bus[alive[::-1]]] = alive[::-1]
        self.taken: set[str] = set()

    def _add_edges(self) -> None:
        """Lines join nodes; transformers join islands, one bank for each pair of islands."""
        model = self.model
        ends = np.stack([model.from_node, model.to_node], axis=1)
        is_transformer = model.branch_transformer >= 0
        lines = nx.Graph()
        lines.add_nodes_from(range(model.node_count))
        lines.add_edges_from(ends[~is_transformer])
        island = np.empty(model.node_count, dtype=np.int64)
        for at, nodes in enumerate(nx.connected_components(lines)):
            island[list(nodes)] = at
        self.feeds: dict[tuple[int, int], list[int]] = {}
        for branch in np.flatnonzero(~is_transformer):
            self._join(int(ends[branch, 0]), int(ends[branch, 1]), int(branch))
        banks: dict[tuple[int, int], list[int]] = {}
        for branch in np.flatnonzero(is_transformer):
            pair = tuple(sorted(island[ends[branch]].tolist()))
            banks.setdefault((pair[0], pair[1]), []).append(int(branch))
        for bank in banks.values():
            self._join_bank(bank, ends[bank], island)

    def _join(self, a: int, b: int, branch: int) -> None:
        if a == b:
            return
        self.graph.add_edge(a, b)
        if self.model.branch_line[branch] >= 0 or self.model.branch_transformer[branch] >= 0:
            self.feeds.setdefault((min(a, b), max(a, b)), []).append(branch)

    def _join_bank(self, bank: list[int], ends: Positions, island: Positions) -> None:
        """One edge stands for the bank; its other ends are tied together within their island."""
        side = island[ends[0, 0]]
        aligned = [(a, b) if island[a] == side else (b, a) for a, b in ends.tolist()]
        (a, b), *others = aligned
        for branch in bank:
            self._join(a, b, branch)
        for other_a, other_b in others:
            # Loops within the island: what lies between the bank's ends is meshed by it.
            for end, other in ((a, other_a), (b, other_b)):
                if end != other:
                    self.graph.add_edge(end, other, tie=True)

    def _depth_first(self) -> tuple[Positions, Positions]:
        """Nodes in preorder from the upstream grid, and each node's parent in that search."""
        root = self.model.node_count
        self.graph.add_edges_from((root, int(ref)) for ref in self.model.ref)
        parent = np.full(root + 1, -1, dtype=np.int64)
        order = [root]
        for above, node in nx.dfs_edges(self.graph, root):
            parent[node] = above
            order.append(node)
        return np.array(order, dtype=np.int64), parent

    def tree(self) -> AreaTree:
        """Every bridge that is a line or a bank of transformers opens an area below it."""
        low, last = self._low_and_last()
        of_node = np.full(self.model.node_count + 1, -1, dtype=np.int64)
        found: list[Area] = []
        parents: list[int] = []
        for node in self.order[1:].tolist():
            above = int(self.parent[node])
            around = int(of_node[above])
            of_node[node] = around
            feeds = self.feeds.get((min(above, node), max(above, node)), [])
            if feeds and low[node] == self.first[node]:
                of_node[node] = len(found)
                parents.append(around)
                around_id = found[around].area_id if around >= 0 else ""
                span = (int(self.first[node]), int(last[node]))
                found.append(self._area(feeds, above, around_id, span))
        return self._assemble(found, parents, of_node)

    def _low_and_last(self) -> tuple[Positions, Positions]:
        """For each node the earliest node its subtree touches, and the end of its subtree."""
        low = self.first.copy()
        last = self.first + 1
        for node in self.order[:0:-1].tolist():
            above = int(self.parent[node])
            for other in self.graph.adj[node]:
                if other != above and self.parent[other] != node:
                    low[node] = min(low[node], self.first[other])
            low[above] = min(low[above], low[node])
            last[above] = max(last[above], last[node])
        return low, last

    def _area(self, feeds: list[int], above: int, around_id: str, span: tuple[int, int]) -> Area:
        grid, model = self.grid, self.model
        is_line = model.branch_line[feeds[0]] >= 0
        owner = model.branch_line if is_line else model.branch_transformer
        table = grid.lines if is_line else grid.transformers
        kind = "line" if is_line else "transformer"
        rows = np.unique(owner[feeds])
        within = np.searchsorted(self.bus_first, span)
        area_id = f"{kind}:{'+'.join(table.label[rows])}"
        if area_id in self.taken:  # a side of a three-winding transformer
            area_id = f"{area_id}:{grid.buses.label[self.bus_order[within[0]]]}"
        self.taken.add(area_id)
        return Area(
            area_id=area_id,
            kind=kind,
            parent_id=around_id,
            elements=tuple(rows.tolist()),
            buses=self.bus_order[within[0] : within[1]],
            head=int(self.bus_of_node[above]),
            s_kva=float(table.s_kva[rows].sum()),
        )

    def _assemble(self, found: list[Area], parents: list[int], of_node: Positions) -> AreaTree:
        model, grid = self.model, self.grid
        of_bus = np.where(model.node_of_bus >= 0, of_node[model.node_of_bus], -1)
        # The deeper end: inside the area that a branch feeds, or in the same mesh as the other.
        deeper = np.where(
            self.first[model.from_node] > self.first[model.to_node], model.from_node, model.to_node
        )
        of_line = np.full(len(grid.lines), -1, dtype=np.int64)
        of_transformer = np.full(len(grid.transformers), -1, dtype=np.int64)
        for owner, of in ((model.branch_line, of_line), (model.branch_transformer, of_transformer)):
            rows = np.flatnonzero(owner >= 0)[::-1]
            of[owner[rows]] = of_node[deeper[rows]]
        for at, area in enumerate(found):
            if area.kind == "line":
                of_line[list(area.elements)] = at
        for at, area in reversed(list(enumerate(found))):
            if area.kind == "transformer":
                # Backwards: the high side of three windings is found first, and feeds all.
                of_transformer[list(area.elements)] = at
        return AreaTree(
            tuple(found), np.array(parents, dtype=np.int64), of_bus, of_line, of_transformer
        )
