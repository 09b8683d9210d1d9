"""The report's tables, and the rows that set two runs side by side."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

from gridsim.report.numbers import NOTHING, Cell, Quantity, as_text, number

if TYPE_CHECKING:
    from collections.abc import Iterable

FINDINGS_SHOWN = 200
SOFT_HYPHEN = "\u00ad"  # lets a telephone break a long heading


class Row(NamedTuple):
    """A row's heading and its cells."""

    head: str
    cells: list[Cell]


class Table(NamedTuple):
    """A table: its column headings (the first stands over the rows' headings) and its rows."""

    columns: list[str]
    rows: list[Row]


class FindingList(NamedTuple):
    """Findings to show, worst first, and how many are left out."""

    shown: list[Mapping[str, Any]]
    rest: int


def _grid_rows(label: str, path: str, unit: str, decimals: int, scale: float) -> list[Quantity]:
    cases = {
        "without": "without batteries",
        "price_only": "by price alone",
        "plan": "with the plan",
    }
    return [
        Quantity(f"{label}, {words}", f"{path}.{key}", unit, decimals, scale)
        for key, words in cases.items()
    ]


COSTS = [
    Quantity("cost without batteries", "cost.no_battery", "currency"),
    Quantity("cost with rule-based self-consumption", "cost.self_consumption", "currency"),
    Quantity("cost by price alone", "cost.price_only", "currency"),
    Quantity("cost with the plan", "cost.plan", "currency"),
]
SAVINGS = [
    Quantity("saved against no batteries", "saving_percent.no_battery", "%", 1),
    Quantity("saved against self-consumption", "saving_percent.self_consumption", "%", 1),
]
GRID = [
    _grid_rows("lowest voltage", "voltage_pu.lowest", "per unit", 4, 1.0),
    _grid_rows("highest voltage", "voltage_pu.highest", "per unit", 4, 1.0),
    _grid_rows("highest line loading", "loading.line", "%", 1, 100.0),
    _grid_rows("highest transformer loading", "loading.transformer", "%", 1, 100.0),
    _grid_rows("limits broken", "breaches", "", 0, 1.0),
]
BATTERIES = [
    Quantity("wear, part of the cost", "wear", "currency"),
    Quantity("energy missing at the end, part of the cost", "energy_missing_cost", "currency"),
    Quantity("equivalent full cycles, mean of a battery", "equivalent_cycles", "", 2),
    Quantity("cost with batteries at rest", "cost.idle", "currency"),
    Quantity("cost of the plan as the optimiser expected it", "cost.plan_as_planned", "currency"),
]
PROOF = [
    Quantity("profit", "profit", "currency"),
    Quantity("proven upper bound of the profit, near the last flow", "profit_bound", "currency"),
    Quantity("gap within the linear grid of the last round", "gap", "%", None, 100.0),
    Quantity("gap within it, absolute", "gap_absolute", "currency", None),
    Quantity("proven upper bound by ratings alone", "profit_bound_ratings", "currency"),
    Quantity("profit as a share of that", "share_of_ratings_bound", "%", 2, 100.0),
    Quantity("largest excess over a grid limit", "worst_grid_excess", "%", 2, 100.0),
    Quantity("gap to any plan, the grid left aside", "gap_any_plan", "%", None, 100.0),
    Quantity("worst violation of a constraint", "worst_violation", "", None),
]
RESOURCES = [
    *(
        Quantity(f"time to {words}", f"seconds.{key}", "s", 2)
        for key, words in (
            ("load", "load"),
            ("build", "build the problem"),
            ("solve", "solve"),
            ("extract", "extract the plan"),
            ("certify", "certify"),
            ("round", "round the plan to whole watts"),
            ("prove", "prove and audit the last plan"),
            ("power_flow", "solve the power flows"),
            ("linearise", "linearise the grid"),
            ("replay", "replay the twins"),
            ("judge", "judge the plan"),
            ("to_verdict", "come from the problem to the verdict"),
        )
    ),
    Quantity("time in all", "seconds.total", "s", 2),
    Quantity("time to compile, once, beside that", "compile_seconds", "s", 2),
    Quantity("peak memory", "peak_memory_mb", "MB", 0),
]


def summary_table(summary: Mapping[str, Any]) -> Table:
    """Cost, saving and the state of the grid, side by side for each way to run the batteries."""
    currency = str(summary.get("currency", ""))
    blank = Cell("")
    unknown = Cell(NOTHING)
    costs = [quantity.cell(summary) for quantity in COSTS]
    saved = [quantity.cell(summary) for quantity in SAVINGS]
    rows = [
        Row(f"energy cost of the sites [{currency}]", costs),
        Row("saved by the plan against it [%]", [*saved, blank, blank]),
    ]
    for group in GRID:
        without, price_only, plan = (quantity.cell(summary) for quantity in group)
        head = Quantity(group[0].label.partition(",")[0], "", group[0].unit)
        rows.append(Row(head.label_with_unit(currency), [without, unknown, price_only, plan]))
    columns = ["", "no batteries", f"self-con{SOFT_HYPHEN}sumption", "by price alone", "the plan"]
    return Table(columns, rows)


def price_only_table(summary: Mapping[str, Any]) -> Table:
    """What a plan by price alone would have done to the grid, beside the plan."""
    currency = str(summary.get("currency", ""))
    pairs = [(COSTS[2], COSTS[3]), *((group[1], group[2]) for group in GRID[:-1])]
    rows = []
    for alone, plan in pairs:
        label = alone.label.removesuffix(" by price alone").removesuffix(",")
        head = Quantity(label, "", alone.unit).label_with_unit(currency)
        rows.append(Row(head, [alone.cell(summary), plan.cell(summary)]))
    for kind, words in (
        ("bus", "voltage limits broken"),
        ("line", "line limits broken"),
        ("transformer", "transformer limits broken"),
        ("flow", "intervals without a solution"),
    ):
        cases = (
            Quantity(words, f"breaches.{case}.{kind}", "", 0) for case in ("price_only", "plan")
        )
        rows.append(Row(words, [counted.cell(summary) for counted in cases]))
    totals = [quantity.cell(summary) for quantity in GRID[-1][1:]]
    rows.append(Row("limits broken in all", totals))
    return Table(["", "by price alone", "the plan"], rows)


def list_table(summary: Mapping[str, Any], quantities: Iterable[Quantity]) -> Table:
    """Single figures, one a row."""
    currency = str(summary.get("currency", ""))
    rows = [Row(one.label_with_unit(currency), [one.cell(summary)]) for one in quantities]
    return Table(["", "value"], rows)


def rounds_table(summary: Mapping[str, Any]) -> Table:
    """The rounds: what power flow or gate found, and what the grid's linear model held."""
    rounds = summary.get("rounds") or []
    found = [one.get("findings") or {} for one in rounds]
    checks = sorted({check for counts in found for check in counts})
    currency = str(summary.get("currency", ""))
    fixed = [
        Quantity("findings", "findings", "", 0),
        *(Quantity(check, check, "", 0) for check in checks),
        Quantity("largest excess", "worst", "%", 2, 100.0),
        Quantity("rows of the grid", "rows", "", 0),
        Quantity("batteries narrowed", "narrowed", "", 0),
        Quantity("profit", "profit", "currency", 2),
        Quantity("time", "seconds", "s", 2),
    ]
    rows = []
    for one, counts in zip(rounds, found, strict=True):
        seconds = one.get("seconds")
        total = seconds.get("total") if isinstance(seconds, Mapping) else seconds
        flat = {**dict.fromkeys(checks, 0), **one, **counts, "seconds": total}
        rows.append(Row(str(one.get("round", "")), [quantity.cell(flat) for quantity in fixed]))
    return Table(["round", *(quantity.label_with_unit(currency) for quantity in fixed)], rows)


def worst_first(findings: Iterable[Mapping[str, Any]]) -> FindingList:
    """The findings farthest past their limits, and the count of the rest."""
    ordered = sorted(findings, key=lambda finding: -_excess(finding))
    return FindingList(ordered[:FINDINGS_SHOWN], max(len(ordered) - FINDINGS_SHOWN, 0))


def finding_value(finding: Mapping[str, Any], key: str) -> Cell:
    """A finding's value, limit or value without batteries, in the unit that it is read in."""
    value, unit = number(finding.get(key)), str(finding.get("unit", ""))
    if value is None:
        return Cell(NOTHING)
    if unit == "1":
        return Cell(f"{as_text(value * 100, 1)} %", value)
    return Cell(f"{as_text(value, 4 if unit == 'pu' else 3)} {unit}".strip(), value)


def finding_time(finding: Mapping[str, Any]) -> str:
    """The start of a finding's interval, to the minute."""
    at = str(finding.get("at") or "")
    try:
        return f"{datetime.fromisoformat(at):%Y-%m-%d %H:%M}"
    except ValueError:
        return at or "whole horizon"


def comparison_rows(
    summary_a: Mapping[str, Any], summary_b: Mapping[str, Any]
) -> list[tuple[str, float | None, float | None, float | None]]:
    """Two runs side by side: label with unit, value of a, value of b, and b less a.

    Values are unrounded, in the unit of the label (loading, gap and saving in percent). None where
    a run has no such value. Money of different currencies has no difference.
    """
    currencies = [str(summary.get("currency", "")) for summary in (summary_a, summary_b)]
    rows = []
    for one in [*COSTS, *SAVINGS, *BATTERIES, *chain(*GRID), *PROOF, *RESOURCES]:
        a, b = one.value(summary_a), one.value(summary_b)
        comparable = one.unit != "currency" or currencies[0] == currencies[1]
        label = one.label_with_unit(" and ".join(dict.fromkeys(currencies)))
        difference = b - a if comparable and a is not None and b is not None else None
        rows.append((label, a, b, difference))
    return rows


def _excess(finding: Mapping[str, Any]) -> float:
    """How far past its limit, over the room that the limit gives; infinite where unknown."""
    value, limit = number(finding.get("value")), number(finding.get("limit"))
    if value is None or limit is None:
        return math.inf
    room = abs(limit - 1.0) if finding.get("unit") == "pu" else abs(limit)
    return abs(value - limit) / max(room, 1e-9)
