"""Figures as text, findings in order, and two runs side by side."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridsim.report import comparison_rows
from gridsim.report.numbers import as_text
from gridsim.report.tables import worst_first
from tests.gridsim.report.html_reading import shown_number
from tests.gridsim.report.synthetic import synthetic_run


@given(st.floats(-1e12, 1e12), st.integers(0, 4))
def test_text_reads_back_to_the_shown_place(value: float, decimals: int) -> None:
    text = as_text(value, decimals)

    assert shown_number(text) == pytest.approx(value, abs=0.51 * 10.0**-decimals, rel=1e-12)
    assert not (text.startswith("−") and shown_number(text) == 0)


@given(st.floats(1e-12, 1e12) | st.floats(-1e12, -1e-12))
def test_three_digits_are_enough_for_a_gap(value: float) -> None:
    assert shown_number(as_text(value, None)) == pytest.approx(value, rel=0.006)


def test_two_runs_side_by_side() -> None:
    a = synthetic_run(seed=1).summary
    b = synthetic_run(seed=2).summary
    rows = {label: (left, right, change) for label, left, right, change in comparison_rows(a, b)}

    assert rows["cost with the plan [EUR]"] == (2417.886, 2417.886, 0.0)
    left, right, change = rows["highest line loading, by price alone [%]"]
    assert left == a["loading"]["line"]["price_only"] * 100
    assert right == b["loading"]["line"]["price_only"] * 100
    assert left is not None
    assert right is not None
    assert change == right - left != 0
    assert rows["limits broken, by price alone"] == (1660.0, 1660.0, 0.0)
    assert [(label, y, x) for label, x, y, _ in comparison_rows(a, b)] == [
        (label, x, y) for label, x, y, _ in comparison_rows(b, a)
    ]


def test_money_of_two_currencies_has_no_difference() -> None:
    a = synthetic_run().summary
    b = {**a, "currency": "SEK", "profit": None, "gap": math.nan}
    rows = {label: rest for label, *rest in comparison_rows(a, b)}

    assert rows["cost with the plan [EUR and SEK]"] == [2417.886, 2417.886, None]
    assert rows["profit [EUR and SEK]"] == [398.7, None, None]
    assert rows["gap within the linear grid of the last round [%]"][1:] == [None, None]
    assert rows["peak memory [MB]"] == [812.0, 812.0, 0.0]


def test_findings_come_worst_first() -> None:
    def finding(value: float | None, limit: float, unit: str) -> dict[str, object]:
        return {"value": value, "limit": limit, "unit": unit}

    slight = finding(1.02, 1.0, "1")
    low = finding(0.85, 0.9, "pu")  # half as far again from nominal as allowed
    heavy = finding(2.7, 1.0, "1")
    unsolved = finding(None, math.nan, "")

    assert worst_first([slight, low, heavy, unsolved]).shown == [unsolved, heavy, low, slight]
    assert worst_first([slight] * 205).rest == 5
