"""The recurrences behind rows between intervals, against dense algebra."""

from __future__ import annotations

import numpy as np
import pytest

from optimizer.engine import ties


@pytest.mark.parametrize("tops", [0, 1, 3])
@pytest.mark.parametrize("decades", [0.0, 3.0])
def test_the_factor_solves_and_inverts(tops: int, decades: float) -> None:
    rng, count = np.random.default_rng(tops), 6
    size = count + tops
    ground = 10.0 ** rng.uniform(-decades, decades, size)
    share = np.zeros((size, tops + 1))
    share[: count - 1, 0] = 10.0 ** rng.uniform(-decades, decades, count - 1)
    share[:count, 1:] = 10.0 ** rng.uniform(-decades, decades, (count, tops))
    joined = np.zeros((size, size))
    joined[np.arange(count - 1), np.arange(1, count)] = share[: count - 1, 0]
    joined[:count, count:] = share[:count, 1:]
    joined += joined.T
    dense = np.diag(ground + joined.sum(axis=1)) - joined
    degree, inverse, right = np.empty(size), np.empty((size, size)), rng.normal(size=size)
    ties.eliminate(ground, share, degree, count)
    ties.invert(share, degree, count, inverse)
    expected = np.linalg.inv(dense)
    assert inverse == pytest.approx(expected, rel=1e-7)
    found = right.copy()
    ties.solve(share, degree, count, found)
    assert found == pytest.approx(expected @ right, rel=1e-7, abs=1e-9 * np.abs(expected).max())
