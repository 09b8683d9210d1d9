"""Net power of groups and sites, and what a site pays and earns for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyomo.environ as pyo
from pyomo.core.expr import LinearExpression

from optimizer.formulation.layout import cells
from optimizer.problem import NO_GROUP

if TYPE_CHECKING:
    import numpy.typing as npt

    from optimizer.formulation.layout import Layout

    Floats = npt.NDArray[np.float64]


@dataclass
class Net:
    """A sum of columns and a constant, kW, positive into the group."""

    coefficients: list[float] = field(default_factory=list)
    columns: list[Any] = field(default_factory=list)
    constant: float = 0.0

    def add(self, coefficient: float, column: Any) -> None:
        """One more term."""
        self.coefficients.append(coefficient)
        self.columns.append(column)

    def include(self, other: Net) -> None:
        """All terms of another sum."""
        self.coefficients += other.coefficients
        self.columns += other.columns
        self.constant += other.constant

    def expression(self) -> LinearExpression:
        """The sum without its constant."""
        return LinearExpression(linear_coefs=self.coefficients, linear_vars=self.columns)


def add_generation(m: pyo.ConcreteModel, x: Layout) -> None:
    """Columns g between the least and the available power."""
    g = x.problem.generators
    low, high = g.p_kw_min.tolist(), g.p_kw_available.tolist()
    m.generation_kw = pyo.Var(
        cells(np.ones_like(g.p_kw_available, dtype=bool)),
        bounds=lambda _, j, t: (low[j][t], high[j][t]),
    )


def add_meters(m: pyo.ConcreteModel, x: Layout) -> None:
    """Columns of the net of limited groups, and import and export of sites with two prices."""
    count = len(x.problem.groups)
    limited = [(NO_GROUP if row == count else row, t) for row, t in cells(x.is_limited)]
    m.net_kw = pyo.Var(limited)
    split = cells(x.is_split)
    m.site_import_kw = pyo.Var(split, domain=pyo.NonNegativeReals)
    m.site_export_kw = pyo.Var(split, domain=pyo.NonNegativeReals)


class Tree:
    """Net power of each group as a sum of as few columns as there are."""

    def __init__(self, m: pyo.ConcreteModel, x: Layout) -> None:
        self._m, self._x = m, x
        p = x.problem
        everything = [NO_GROUP, *range(len(p.groups))]
        self._batteries = {g: np.flatnonzero(p.batteries.group == g).tolist() for g in everything}
        self._generators = {g: np.flatnonzero(p.generators.group == g).tolist() for g in everything}
        self._children = {g: np.flatnonzero(p.groups.parent == g).tolist() for g in everything}
        self._fixed = (p.groups.load_kw - p.groups.generation_kw).tolist()

    def parts(self, group: int, t: int) -> Net:
        """The group's own units and load, and the nets of the groups right below it."""
        m, net = self._m, Net(constant=self._fixed[group][t] if group != NO_GROUP else 0.0)
        for i in self._batteries[group]:
            if (i, t) in m.p_charge_kw:
                net.add(1.0, m.p_charge_kw[i, t])
            if (i, t) in m.p_discharge_kw:
                net.add(-1.0, m.p_discharge_kw[i, t])
        for j in self._generators[group]:
            net.add(-1.0, m.generation_kw[j, t])
        for child in self._children[group]:
            net.include(self.net(child, t))
        return net

    def at_meter(self, group: int, t: int) -> Net:
        """The group's net at its price: its limited net where there is one, else its parts."""
        if self._x.is_limited[group, t]:
            return Net([1.0], [self._m.net_kw[group, t]])
        return self.parts(group, t)

    def net(self, group: int, t: int) -> Net:
        """The group's net in the fewest columns."""
        if not self._x.is_limited[group, t] and self._x.is_split[group, t]:
            m = self._m
            return Net([1.0, -1.0], [m.site_import_kw[group, t], m.site_export_kw[group, t]])
        return self.at_meter(group, t)


def group_net(m: pyo.ConcreteModel, x: Layout) -> None:
    """net[t] − Σ p + Σ g − Σ nets of the groups below = load − generation, for limited groups."""
    tree = Tree(m, x)

    def rule(m: pyo.ConcreteModel, group: int, t: int) -> Any:
        parts = tree.parts(group, t)
        row = Net([-c for c in parts.coefficients], list(parts.columns))
        row.add(1.0, m.net_kw[group, t])
        return row.expression() == parts.constant

    if len(m.net_kw):
        m.group_net = pyo.Constraint(list(m.net_kw), rule=rule)


def site_balance(m: pyo.ConcreteModel, x: Layout) -> None:
    """import[t] − export[t] − net of the site's units = load − generation, where prices differ."""
    tree = Tree(m, x)

    def rule(m: pyo.ConcreteModel, site: int, t: int) -> Any:
        meter = tree.at_meter(site, t)
        row = Net([-c for c in meter.coefficients], list(meter.columns))
        row.add(1.0, m.site_import_kw[site, t])
        row.add(-1.0, m.site_export_kw[site, t])
        return row.expression() == meter.constant

    if len(m.site_import_kw):
        m.site_balance = pyo.Constraint(list(m.site_import_kw), rule=rule)


def largest_flows_kw(x: Layout) -> tuple[Floats, Floats]:
    """Most that each group can import and export, shapes (G, T)."""
    p = x.problem
    high = p.groups.load_kw - p.groups.generation_kw
    low = high.copy()
    for group in range(len(p.groups)):
        inside = p.batteries.group == group
        high[group] += x.p_charge_kw_max[inside].sum(axis=0)
        low[group] -= x.p_discharge_kw_max[inside].sum(axis=0)
        feeding = p.generators.group == group
        high[group] -= p.generators.p_kw_min[feeding].sum(axis=0)
        low[group] -= p.generators.p_kw_available[feeding].sum(axis=0)
    above = np.zeros((len(p.groups), len(p.groups)))
    for group, chain in enumerate(p.groups.ancestors):
        above[list(chain), group] = 1.0
    return np.maximum(above @ high, 0.0), np.maximum(-(above @ low), 0.0)


def add_site_mode(m: pyo.ConcreteModel, x: Layout) -> None:
    """Binary "is importing" where a site would earn by importing and exporting at once."""
    groups = x.problem.groups
    pays = groups.price_export_per_kwh > groups.price_import_per_kwh
    m.site_is_importing = pyo.Var(cells(x.is_split & pays), domain=pyo.Binary)


def site_import_mode(m: pyo.ConcreteModel, x: Layout) -> None:
    """import[t] ≤ most import·is_importing[t], where the export price is the higher one."""
    most = largest_flows_kw(x)[0]
    if len(m.site_is_importing):
        m.site_import_mode = pyo.Constraint(
            list(m.site_is_importing),
            rule=lambda m, g, t: (
                m.site_import_kw[g, t] <= float(most[g, t]) * m.site_is_importing[g, t]
            ),
        )


def site_export_mode(m: pyo.ConcreteModel, x: Layout) -> None:
    """export[t] ≤ most export·(1 − is_importing[t]), where the export price is the higher one."""
    most = largest_flows_kw(x)[1]
    if len(m.site_is_importing):
        m.site_export_mode = pyo.Constraint(
            list(m.site_is_importing),
            rule=lambda m, g, t: (
                m.site_export_kw[g, t] <= float(most[g, t]) * (1 - m.site_is_importing[g, t])
            ),
        )
