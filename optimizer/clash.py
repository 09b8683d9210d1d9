"""A smallest set of firm rules that cannot be kept together.

Every rule of the Pyomo model has a slack. With a cost of 1 on the slacks of some firm rules and
none on anything else, the least cost is 0 if and only if those rules can be kept together. Rules
whose slack earns nothing in the dual are not needed for the proof that they cannot; the rest is
taken out one by one, and put back where without it the others can be kept (deletion filter,
Chinneck and Dravnieks, ORSA J. Computing 3, 1991).
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import highspy
import numpy as np

from optimizer.breaches import target_moments
from optimizer.excerpt import excerpt, keep_all, keep_below
from optimizer.formulation import Layout, build_model
from optimizer.highs import Effort, compile_model, load_matrix
from optimizer.problem import NO_GROUP
from twins.timegrid import iso

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from optimizer.excerpt import Kept
    from optimizer.plan import Breach
    from optimizer.problem import DispatchProblem

    Floats = npt.NDArray[np.float64]

BATTERIES_MOST = 400
"""Parts with more batteries are not searched: their linear problem takes seconds, many times."""
_KEPT = 1e-6
"""Least sum of slacks, in kW and kWh, that is more than a solver's rounding."""
_SLACKS = {
    "breach_above_kw": ("limit", "above"),
    "breach_below_kw": ("limit", "below"),
    "limit_ramp_above_kw": ("limit ramp", "above"),
    "limit_ramp_below_kw": ("limit ramp", "below"),
    "network_above_kw": ("network", "above"),
    "network_below_kw": ("network", "below"),
    "reserve_short_kw": ("reserve", "below"),
    "target_missing_kwh": ("target", "below"),
    "target_surplus_kwh": ("target", "above"),
    "band_below_kwh": ("band", "below"),
    "band_above_kwh": ("band", "above"),
    "ramp_above_kw": ("ramp", "above"),
    "ramp_below_kw": ("ramp", "below"),
}


class Rule(NamedTuple):
    """One firm rule at one moment.

    Attributes:
        kind: "limit", "limit ramp", "network", "reserve", "target", "band" or "ramp".
        name: id of the limit, row or battery.
        at: start of the interval, or the moment of a target or of a band, RFC 3339.
        side: "above": a rule that something be no more; "below": no less.
    """

    kind: str
    name: str
    at: str
    side: str

    def __str__(self) -> str:
        what = {"above": "upper", "below": "lower"}[self.side]
        return f"{self.kind} of {self.name} at {self.at}, {what} side"


@dataclass(frozen=True)
class Clash:
    """Rules that cannot all be kept.

    Attributes:
        rules: the rules; without any one of them the others can be kept, if `is_minimal`.
        is_minimal: false where the time was up before every rule had been tried.
        where: the part of the problem that was looked at.
    """

    rules: tuple[Rule, ...]
    is_minimal: bool
    where: str

    def __str__(self) -> str:
        if len(self.rules) == 1:
            return f"  {self.rules[0]}: cannot be kept, whatever else is given up"
        ends = "; without any one of them the others can" if self.is_minimal else ""
        lines = [f"  these cannot be kept together (in {self.where}){ends}:"]
        return "\n".join([*lines, *(f"    {rule}" for rule in self.rules)])


def find_clash(
    problem: DispatchProblem, breaches: Sequence[Breach], time_limit_s: float = 10.0
) -> Clash | None:
    """A smallest clashing set behind the first of the firm `breaches`.

    Looked for in the smallest part that has one: the battery alone, its group, the groups above,
    the whole. Powers, efficiencies and the energy at the start are facts; both powers at once and
    powers between steps are allowed, so a clash that only steps and least powers make is not found.

    Args:
        problem: what was asked.
        breaches: of its cheapest plan.
        time_limit_s: then the set found so far is returned.

    Returns:
        None where no part of a size that can be searched has a clash of linear rules.
    """
    firm = [breach for breach in breaches if breach.is_firm]
    if not firm:
        return None
    until = time.perf_counter() + time_limit_s
    for where, kept, whole in _parts(problem, firm[0]):
        if kept.batteries.sum() > BATTERIES_MOST:
            return None
        if not (kept.batteries.any() or kept.generators.any()):
            continue  # fixed load alone is no problem of its own; the next part holds it
        found = _clash_in(excerpt(problem, kept, where, whole=whole).problem, where, until)
        if found is not None:
            return found
        if time.perf_counter() > until:
            return None
    return None


def _parts(problem: DispatchProblem, breach: Breach) -> Iterator[tuple[str, Kept, bool]]:
    """Growing parts around a breach."""
    group = NO_GROUP
    if breach.kind in ("limit", "limit ramp"):
        group = int(problem.limits.group[problem.limits.limit_id.index(breach.name)])
    elif breach.kind == "reserve":
        group = int(problem.reserves.group[problem.reserves.reserve_id.index(breach.name)])
    elif breach.kind != "network":
        row = problem.batteries.battery_id.index(breach.name)
        group = int(problem.batteries.group[row])
        alone = keep_all(problem, False)
        alone.batteries[row] = True
        yield f"battery {breach.name}", alone, False
    if breach.kind != "network" and group != NO_GROUP:
        for above in problem.groups.ancestors[group]:
            yield f"group {problem.groups.group_id[above]}", keep_below(problem, above), False
    yield "the whole", keep_all(problem), True


class _Elastic(Layout):
    """A layout in which every band may yield."""

    @property
    def band_yields(self) -> npt.NDArray[np.bool_]:
        return np.ones(len(self.problem.batteries), dtype=bool)


class _Rules:
    """The elastic model of a part: which rules have a price is all that changes."""

    def __init__(self, part: DispatchProblem) -> None:
        b, rows = part.batteries, np.zeros(len(part.batteries))
        free = replace(
            b, p_charge_kw_min=rows, p_discharge_kw_min=rows.copy(),
            power_levels=np.zeros_like(b.power_levels),
        )  # fmt: skip
        self._part = part
        elastic = replace(part, batteries=free)
        matrix = compile_model(build_model(_Elastic(elastic, np.zeros(part.shape, dtype=bool))))
        self.column: list[int] = []
        self.rule: list[Rule] = []
        for at, variable in enumerate(matrix.columns):
            name = variable.parent_component().local_name
            if name in _SLACKS and self._is_firm(name, variable.index()):
                self.column.append(at)
                self.rule.append(self._rule(name, variable.index()))
        matrix.lp.col_cost_ = np.zeros(len(matrix.columns))
        self._highs = load_matrix(matrix, Effort())

    def needed(self, priced: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_] | None:
        """Of the `priced` rules those that a proof needs that they clash; None if they do not."""
        columns, cost = np.array(self.column, dtype=np.int32), priced.astype(float)
        self._highs.changeColsCost(len(columns), columns, cost)
        self._highs.run()
        if self._highs.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            return None
        if self._highs.getInfo().objective_function_value <= _KEPT:
            return None
        reduced = np.array(self._highs.getSolution().col_dual)[columns]
        return np.asarray(priced & (cost - reduced > 1e-9))

    def _is_firm(self, name: str, index: tuple[int, int] | int) -> bool:
        kind, row = _SLACKS[name][0], index[0] if isinstance(index, tuple) else index
        part = self._part
        firm = {
            "limit": part.limits.is_firm, "limit ramp": part.limits.has_firm_ramp,
            "reserve": part.reserves.is_firm,
            "target": part.targets.is_firm,
            "network": part.network.is_firm,
        }  # fmt: skip
        return bool(firm[kind][row]) if kind in firm else True

    def _rule(self, name: str, index: tuple[int, int] | int) -> Rule:
        part, (kind, side) = self._part, _SLACKS[name]
        row, t = index if isinstance(index, tuple) else (index, 0)
        instants = part.grid.instants
        if kind in ("limit", "limit ramp"):
            return Rule(kind, part.limits.limit_id[row], iso(instants[t]), side)
        if kind == "reserve":
            return Rule(kind, part.reserves.reserve_id[row], iso(instants[t]), side)
        if kind == "network":
            return Rule(kind, part.network.row_id[row], iso(instants[part.network.interval[row]]),
                        side)  # fmt: skip
        if kind == "target":
            battery = part.batteries.battery_id[part.targets.battery[row]]
            return Rule(kind, battery, iso(target_moments(part)[row]), side)
        return Rule(kind, part.batteries.battery_id[row], iso(instants[t]), side)


def _clash_in(part: DispatchProblem, where: str, until: float) -> Clash | None:
    """A smallest clashing set of a part, None if all its firm rules can be kept."""
    rules = _Rules(part)
    priced = rules.needed(np.ones(len(rules.rule), dtype=bool))
    if priced is None:
        return None
    is_minimal = True
    for at in range(len(priced)):
        if not priced[at]:
            continue
        if time.perf_counter() > until:
            is_minimal = False
            break
        without = priced.copy()
        without[at] = False
        still = rules.needed(without)
        # Where the others clash without it, its proof may need even fewer of them.
        priced = priced if still is None else still
    found = tuple(rule for rule, kept in zip(rules.rule, priced, strict=True) if kept)
    return Clash(found, is_minimal, where)
