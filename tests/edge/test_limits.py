"""Device limits: what they refuse to be, and what they refuse to do."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.limits import DeviceLimits

LIMITS = DeviceLimits(
    p_charge_kw_max=3.0,
    p_discharge_kw_max=5.0,
    s_kva_max=5.5,
    soc_min=0.1,
    soc_max=0.9,
    energy_kwh_max=10.0,
)
finite = st.floats(-20, 20)


@given(p_kw=finite, q_kvar=finite)
def test_a_set_point_passes_exactly_when_it_is_within_every_limit(p_kw, q_kvar):
    watt = 0.001
    clearly_in = -5 <= p_kw <= 3 and math.hypot(p_kw, q_kvar) <= 5.5
    clearly_out = p_kw > 3 + watt or p_kw < -5 - watt or math.hypot(p_kw, q_kvar) > 5.5 + watt
    faults = LIMITS.faults(p_kw, q_kvar)
    if clearly_in:
        assert faults == []
    if clearly_out:
        assert faults


def test_positive_power_is_held_against_the_charging_limit():
    assert LIMITS.faults(4.0) == ["charges 4.0 kW; at most 3.0 kW"]
    assert LIMITS.faults(-4.0) == []


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_set_point_that_is_no_number_never_passes(value):
    assert LIMITS.faults(value)
    assert LIMITS.faults(0.0, value)


def test_every_senseless_limit_is_named_in_one_error():
    with pytest.raises(ValueError) as caught:
        DeviceLimits(-1.0, 5.0, -2.0, soc_min=0.9, soc_max=0.1, energy_kwh_max=0.0)
    for name in ("p_charge_kw_max", "s_kva_max", "energy_kwh_max", "soc_min"):
        assert name in str(caught.value)


def test_a_limit_that_is_no_number_is_refused():
    with pytest.raises(ValueError, match="soc_min must be finite"):
        DeviceLimits(1.0, 1.0, 1.0, math.nan, 1.0, 1.0)
