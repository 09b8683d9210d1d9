"""The recurrences without subtraction, against exact arithmetic."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import pytest

from optimizer.engine.batteries import (
    add_response,
    factor,
    invert_diagonal,
    solve_tridiagonal,
)
from optimizer.engine.nodes import cholesky, solve_lower, solve_upper

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

COUNT = 12


def spread(rng: np.random.Generator, decades: float) -> Floats:
    return np.asarray(10.0 ** rng.uniform(-decades, decades, COUNT))


def exact_inverse(g: Floats, w: Floats, kept: Floats) -> list[list[Fraction]]:
    """K⁻¹ by elimination on fractions: no rounding at all."""
    gs, ws, ks = ([Fraction(float(x)) for x in column] for column in (g, w, kept))
    rows = [[Fraction(0)] * (2 * COUNT) for _ in range(COUNT)]
    for t in range(COUNT):
        rows[t][t] = gs[t] + ws[t] + (ks[t] ** 2 * ws[t - 1] if t else 0)
        rows[t][COUNT + t] = Fraction(1)
        if t + 1 < COUNT:
            rows[t][t + 1] = rows[t + 1][t] = -ks[t + 1] * ws[t]
    for k in range(COUNT):
        rows[k] = [x / rows[k][k] for x in rows[k]]
        for i in range(COUNT):
            if i != k and rows[i][k]:
                rows[i] = [x - rows[i][k] * y for x, y in zip(rows[i], rows[k], strict=True)]
    return [row[COUNT:] for row in rows]


@pytest.mark.parametrize("decades", [1.0, 9.0, 12.0])
@pytest.mark.parametrize("seed", range(4))
def test_response_and_solve_keep_every_digit(seed: int, decades: float) -> None:
    """Elementwise, where the textbook pivots lose all of them."""
    rng = np.random.default_rng(seed)
    inverse_c, inverse_d, w = spread(rng, decades), spread(rng, decades), spread(rng, decades)
    a, b, kept = rng.uniform(0.4, 0.5, COUNT), rng.uniform(0.5, 0.6, COUNT), np.full(COUNT, 0.99)
    g = a * a * inverse_c + b * b * inverse_d
    force = a * inverse_c + b * inverse_d
    ratio, pivot, diagonal, others = (np.empty(COUNT) for _ in range(4))
    factor(g, w, kept, ratio, pivot)
    invert_diagonal(g, w, kept, pivot, diagonal, others)
    own = ((a - b) ** 2 * inverse_c * inverse_d + others * (inverse_c + inverse_d)) * diagonal
    response = np.zeros((COUNT, COUNT))
    add_response(force, own, ratio, diagonal, np.empty(COUNT), response)

    exact = exact_inverse(g, w, kept)
    for t in range(COUNT):
        for j in range(t + 1, COUNT):
            expected = float(-Fraction(force[t]) * exact[t][j] * Fraction(force[j]))
            assert response[t, j] == pytest.approx(expected, rel=1e-10)
    x = rng.uniform(0.5, 1.5, COUNT)
    solution = x.copy()
    solve_tridiagonal(ratio, pivot, solution)
    for t in range(COUNT):
        expected = float(sum(exact[t][j] * Fraction(float(x[j])) for j in range(COUNT)))
        assert solution[t] == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("seed", range(4))
def test_the_diagonal_of_the_response_does_not_cancel(seed: int) -> None:
    """1/θc + 1/θd − F² K⁻¹ in exact arithmetic, with g itself exact."""
    rng = np.random.default_rng(seed)
    inverse_c, inverse_d, w = spread(rng, 9), spread(rng, 9), spread(rng, 9)
    a, b, kept = rng.uniform(0.4, 0.5, COUNT), rng.uniform(0.5, 0.6, COUNT), np.ones(COUNT)
    g = a * a * inverse_c + b * b * inverse_d
    ratio, pivot, diagonal, others = (np.empty(COUNT) for _ in range(4))
    factor(g, w, kept, ratio, pivot)
    invert_diagonal(g, w, kept, pivot, diagonal, others)
    exact = exact_inverse(g, w, kept)
    for t in range(COUNT):
        ell = 1 / exact[t][t] - Fraction(g[t])
        assert others[t] == pytest.approx(float(ell), rel=1e-10)


def test_cholesky_solves_and_mends_nothing_in_a_regular_system() -> None:
    rng = np.random.default_rng(0)
    root = rng.normal(size=(COUNT, COUNT))
    system = root @ root.T + np.diag(spread(rng, 4))
    upper, x = system.copy(), rng.normal(size=COUNT)
    assert cholesky(upper) == 0
    solution = x.copy()
    solve_lower(upper, solution)
    solve_upper(upper, solution)
    assert solution == pytest.approx(np.linalg.solve(system, x), rel=1e-8)
