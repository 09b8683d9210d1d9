"""Dense linear algebra in one order of sums, whatever the number of threads.

A BLAS splits its products over its own threads, and the bits follow their number. These loops take
eight rows at a time, so that the compiler keeps sums in registers; they reach half of its speed.

All compiled functions that call each other stand in this one file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from twins.jit import compiled

if TYPE_CHECKING:
    import numpy.typing as npt

    from optimizer.engine.loop import Team

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

_PANEL = 64
_PIVOT_MENDED = 1e64


@compiled
def add_rows(target: Floats, share: Floats, rows: Floats) -> None:
    """target += Σ share_k · rows_k, with `share` of shape (k,) and `rows` of shape (k, n)."""
    count, k = share.size, 0
    while k + 8 <= count:
        s0, s1, s2, s3 = share[k], share[k + 1], share[k + 2], share[k + 3]
        s4, s5, s6, s7 = share[k + 4], share[k + 5], share[k + 6], share[k + 7]
        r0, r1, r2, r3 = rows[k], rows[k + 1], rows[k + 2], rows[k + 3]
        r4, r5, r6, r7 = rows[k + 4], rows[k + 5], rows[k + 6], rows[k + 7]
        for j in range(target.size):
            first = (s0 * r0[j] + s1 * r1[j]) + (s2 * r2[j] + s3 * r3[j])
            target[j] += first + ((s4 * r4[j] + s5 * r5[j]) + (s6 * r6[j] + s7 * r7[j]))
        k += 8
    for rest in range(k, count):
        one, row = share[rest], rows[rest]
        for j in range(target.size):
            target[j] += one * row[j]


@compiled
def _factor_panel(system: Floats, first: int, last: int) -> int:
    """Rows `first` to `last` of the upper factor; pivots without any size left are set aside."""
    mended = 0
    for k in range(first, last):
        row = system[k, k:]
        for above in range(first, k):
            share, other = system[above, k], system[above, k:]
            for j in range(row.size):
                row[j] -= share * other[j]
        if not row[0] > 0.0:
            row[0] = _PIVOT_MENDED
            mended += 1
        over = 1.0 / np.sqrt(row[0])
        for j in range(row.size):
            row[j] *= over
    return mended


@compiled
def _take_panel(system: Floats, top: int, bottom: int, first: int, last: int) -> None:
    """Rows below the panel of rows `top` to `bottom` lose its products; two rows a turn."""
    count = system.shape[0]
    for turn in range(first, last):
        upper, lower = bottom + turn, count - 1 - turn
        add_rows(system[upper, upper:], -system[top:bottom, upper], system[top:bottom, upper:])
        if lower > upper:
            add_rows(system[lower, lower:], -system[top:bottom, lower], system[top:bottom, lower:])


def cholesky(system: Floats, team: Team) -> int:
    """Upper factor in the upper triangle, in place (UᵀU); returns the number of mended pivots."""
    count, mended = len(system), 0
    for top in range(0, count, _PANEL):
        bottom = min(top + _PANEL, count)
        mended += _factor_panel(system, top, bottom)
        team.share((count - bottom + 1) // 2, _take_panel, system, top, bottom)
    return mended


@compiled
def solve(upper: Floats, x: Floats) -> None:
    """x ← (UᵀU)⁻¹ x."""
    for k in range(x.size):
        x[k] /= upper[k, k]
        row = upper[k]
        for j in range(k + 1, x.size):
            x[j] -= row[j] * x[k]
    for k in range(x.size - 1, -1, -1):
        row = upper[k]
        for j in range(k + 1, x.size):
            x[k] -= row[j] * x[j]
        x[k] /= row[k]


@compiled
def pair_weights(
    system: Floats,
    weight: Floats,
    passed: Floats,
    at: Ints,
    interval: Ints,
    start: Ints,
    first: int,
    last: int,
) -> None:
    """Upper triangle of Σ_n w_kn · w_jn · P_n[t_k, t_j]; a turn is the rows of one interval.

    Args:
        system: shape (K, K), is overwritten.
        weight: shape (Q, K), of each row at Q nodes.
        passed: shape (m, T, T), responses of all nodes: P.
        at: shape (Q,), the nodes.
        interval: shape (K,), of each row, never falls.
        start: first row of each turn, and K.
    """
    count = interval.size
    for turn in range(first, last):
        begin, end = start[turn], start[turn + 1]
        seen = np.empty((at.size, count - begin))
        for q in range(at.size):
            response = passed[at[q], interval[begin]]
            for j in range(begin, count):
                seen[q, j - begin] = weight[q, j] * response[interval[j]]
        for k in range(begin, end):
            system[k] = 0.0
            add_rows(system[k, k:], weight[:, k], seen[:, k - begin :])
