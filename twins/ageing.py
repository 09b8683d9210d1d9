"""Calendar and cycle ageing: capacity lost to time, temperature, charge and use.

Both mechanisms are power laws of a stress integral, ``loss = (∑ k^(1/p) · Δx)^p``, with Δx in days
or in equivalent full cycles; where the rate k is constant that is the published ``k · x^p``. Stress
is taken day by day: the mean calendar rate, the mean C-rate and temperature, and the cycles that
rainflow counting (ASTM E1049-85) finds with their depths. Equations and coefficients follow
BLAST-Lite (P. Gasper et al., NREL, BSD-3-Clause, see NOTICE); the anode's potential is that of
M. Safari and C. Delacourt, J. Electrochem. Soc. 158 (2011) A562, doi:10.1149/1.3567007.

BLAST-Lite's authors call such models qualitative beyond the one to three years of their test data,
and packs age some 20 to 30 % faster than cells.
"""

from __future__ import annotations

from dataclasses import astuple
from typing import TYPE_CHECKING

import numpy as np

from twins.stress import stress_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from twins.technology import Ageing

    Floats = npt.NDArray[np.float64]

_ANODE_POINTS = 1001
STRESSES = ("calendar", "cycle", "knee", "cycles")


def coefficients(ageings: Sequence[Ageing]) -> Floats:
    """The kernel's rows of coefficients, in `Ageing`'s order of fields, one a technology."""
    return np.array([astuple(ageing) for ageing in ageings], dtype=np.float64)


def anode_potential_v(soc: Floats) -> Floats:
    """Potential of a graphite anode against lithium, V, at a state of charge."""
    lithiation = 8.5e-3 + soc * (0.78 - 8.5e-3)
    return np.asarray(
        0.6379
        + 0.5416 * np.exp(-305.5309 * lithiation)
        + 0.044 * np.tanh(-(lithiation - 0.1958) / 0.1088)
        - 0.1978 * np.tanh((lithiation - 1.0571) / 0.0854)
        - 0.6875 * np.tanh((lithiation + 0.0117) / 0.0529)
        - 0.0175 * np.tanh((lithiation - 0.5692) / 0.0875)
    )


_ANODE_V = anode_potential_v(np.linspace(0.0, 1.0, _ANODE_POINTS))


def stress(
    rows: Floats,
    technology_index: npt.NDArray[np.int64],
    soc: Floats,
    temperature_c: Floats,
    hours: Floats,
    health: Floats,
) -> Floats:
    """Stress integrals of R profiles, shape (R, 4): the four of `STRESSES`.

    Args:
        rows: coefficients, from `coefficients`.
        technology_index: the row of coefficients of each profile, (R,).
        soc, temperature_c: at the N+1 instants, (R, N+1).
        hours: lengths of the N intervals, (N,).
        health: present capacity fraction, (R,); the same energy cycles deeper in a faded battery.
    """
    days = _day_edges(hours)
    made = np.zeros((soc.shape[0], len(STRESSES)))
    stress_rows(rows, technology_index, soc, temperature_c, hours, health, days, _ANODE_V, made)
    return made


def capacity_loss(rows: Floats, totals: Floats) -> tuple[Floats, Floats]:
    """Calendar and cycle loss, fractions of the new capacity, of stress integrals (R, 4)."""
    calendar = totals[:, 0] ** rows[:, 3]
    return calendar, totals[:, 1] ** rows[:, 9]


def knee_fraction(rows: Floats, totals: Floats) -> Floats:
    """The capacity that lost active material leaves, from 1.01 falling in a sigmoid, (R,)."""
    exponent = rows[:, 12]
    reached = np.minimum(totals[:, 2] ** np.maximum(exponent, 1.0), 700.0)
    left = 1.01 - (1.0 - 2.0 / (1.0 + np.exp(reached)))
    return np.where(exponent > 0, left, np.inf)


def stress_of_loss(rows: Floats, capacity_fraction: Floats) -> Floats:
    """Stress integrals that a battery of this health may have behind it, (R, 4).

    Health alone does not say how it was lost; half is taken as calendar and half as cycle loss.
    """
    half = np.maximum(0.0, 1.0 - capacity_fraction) / 2
    totals = np.zeros((capacity_fraction.size, len(STRESSES)))
    totals[:, 0] = half ** (1 / rows[:, 3])
    totals[:, 1] = half ** (1 / rows[:, 9])
    return totals


def _day_edges(hours: Floats) -> npt.NDArray[np.int64]:
    """Instants that cut a profile into stretches of a day, the last one perhaps shorter.

    An interval is never cut: where one is longer than what is left of the day, so is the stretch.
    """
    passed = np.concatenate([[0.0], np.cumsum(hours)])
    whole = np.arange(0.0, passed[-1] - 1e-6, 24.0)
    edges = np.searchsorted(passed, whole - 1e-6)
    # An interval of days may hold several midnights, and the last one may end the profile: a
    # stretch of no length would have no mean.
    return np.unique(np.append(edges, hours.size)).astype(np.int64)
