"""Hints: the nearest known word, whatever the order of its parts."""

from __future__ import annotations

import pytest

from twins.faults import did_you_mean

KNOWN = ["energy_kwh_min", "energy_kwh_max", "p_charge_kw_max", "soc_initial", "name"]


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("energy_max_kwh", "energy_kwh_max"),
        ("energy_min_kwh", "energy_kwh_min"),
        ("kwh-max energy", "energy_kwh_max"),
        ("Max_Charge_kW_P", "p_charge_kw_max"),
        ("soc_intial", "soc_initial"),
        ("nmae", "name"),
    ],
)
def test_the_same_parts_in_another_order_are_nearest(word: str, meant: str) -> None:
    assert did_you_mean(word, KNOWN) == f"did you mean {meant!r}?"


@pytest.mark.parametrize("word", ["", "_", "quite another thing"])
def test_nothing_near_is_no_hint(word: str) -> None:
    assert did_you_mean(word, KNOWN) == ""
