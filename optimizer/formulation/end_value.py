"""What the energy left at the end is worth: concave pieces, counted from an empty store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyomo.environ as pyo
from pyomo.core.expr import LinearExpression

if TYPE_CHECKING:
    from collections.abc import Iterator

    from optimizer.formulation.layout import Layout, Mask


def is_one_price(x: Layout) -> Mask:
    """Batteries whose first piece holds all that may be left, shape (N,): no columns."""
    b = x.problem.batteries
    first = b.end_value_kwh[:, 0]
    return np.asarray(np.isinf(first) | ((first >= b.energy_kwh_max[:, -1]) & ~x.band_yields))


def _in_pieces(x: Layout) -> list[int]:
    valued = (x.problem.batteries.end_value_per_kwh != 0).any(axis=1)
    return np.flatnonzero(valued & ~is_one_price(x)).tolist()


def add_end_energy(m: pyo.ConcreteModel, x: Layout) -> None:
    """Columns of the energy in each piece, of the energy beyond them, and of what is lacking.

    Only a band that yields lets energy fall below an empty store; it then lacks at the first
    piece's value.
    """
    b, rows = x.problem.batteries, _in_pieces(x)
    width = b.end_value_kwh
    pieces = [(i, k) for i in rows for k in np.flatnonzero(width[i] > 0).tolist()]
    m.end_energy_kwh = pyo.Var(
        pieces,
        bounds=lambda _, i, k: (0.0, None if np.isinf(width[i, k]) else float(width[i, k])),
    )
    m.end_beyond_kwh = pyo.Var(
        [i for i in rows if np.isfinite(width[i]).all()], domain=pyo.NonNegativeReals
    )
    m.end_lacking_kwh = pyo.Var([i for i in rows if x.band_yields[i]], domain=pyo.NonNegativeReals)
    m.end_is_filled = pyo.Var(
        [i for i in m.end_beyond_kwh if (b.end_value_per_kwh[i][width[i] > 0] < 0).any()],
        domain=pyo.Binary,
    )


def end_energy(m: pyo.ConcreteModel, x: Layout) -> None:
    """e[T] = Σ energy in pieces + beyond − lacking, where the value has several pieces."""
    last = len(x.problem.grid)

    def rule(m: pyo.ConcreteModel, i: int) -> Any:
        parts = [m.end_energy_kwh[at] for at in m.end_energy_kwh if at[0] == i]
        terms = [1.0] * len(parts)
        if i in m.end_beyond_kwh:
            parts.append(m.end_beyond_kwh[i])
            terms.append(1.0)
        if i in m.end_lacking_kwh:
            parts.append(m.end_lacking_kwh[i])
            terms.append(-1.0)
        parts.append(m.energy_kwh[i, last])
        terms.append(-1.0)
        return LinearExpression(linear_coefs=terms, linear_vars=parts) == 0

    index = _in_pieces(x)
    if index:
        m.end_energy = pyo.Constraint(index, rule=rule)


def end_beyond(m: pyo.ConcreteModel, x: Layout) -> None:
    """beyond ≤ largest energy·is_filled, where a piece has a negative value."""
    most = _most_energy_kwh(x)
    if len(m.end_is_filled):
        m.end_beyond = pyo.Constraint(
            list(m.end_is_filled),
            rule=lambda m, i: m.end_beyond_kwh[i] <= float(most[i]) * m.end_is_filled[i],
        )


def end_filled(m: pyo.ConcreteModel, x: Layout) -> None:
    """energy in a piece ≥ width·is_filled, for pieces of a negative value."""
    b = x.problem.batteries
    index = [
        (i, k)
        for i, k in m.end_energy_kwh
        if i in m.end_is_filled and b.end_value_per_kwh[i, k] < 0
    ]
    if index:
        m.end_filled = pyo.Constraint(
            index,
            rule=lambda m, i, k: (
                m.end_energy_kwh[i, k] >= float(b.end_value_kwh[i, k]) * m.end_is_filled[i]
            ),
        )


def _most_energy_kwh(x: Layout) -> Any:
    """More than a battery can ever hold at the end, whether or not its band yields."""
    gains = np.maximum(x.gain_kwh_per_kw * x.p_charge_kw_max + x.inflow_kwh, 0.0).sum(axis=1)
    return x.problem.batteries.energy_kwh_initial + gains


def end_value_terms(m: pyo.ConcreteModel, x: Layout) -> Iterator[tuple[float, Any]]:
    """Cost terms: less the value of each piece."""
    value, last = x.problem.batteries.end_value_per_kwh, len(x.problem.grid)
    pieces = set(_in_pieces(x))
    for i in range(len(value)):
        if i not in pieces:
            yield -value[i, 0] if is_one_price(x)[i] else 0.0, m.energy_kwh[i, last]
    yield from ((-value[at], column) for at, column in m.end_energy_kwh.items())
    yield from ((max(value[i, 0], 0.0), column) for i, column in m.end_lacking_kwh.items())
