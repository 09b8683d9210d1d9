"""Rainflow counting (ASTM E1049-85, section 5.4.4), compiled, for short profiles by the million.

The `rainflow` package counts the same cycles; the tests hold the two together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twins.jit import compiled

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]


@compiled
def cycles_into(series: Floats, points: Floats, depths: Floats, counts: Floats) -> int:
    """Count the cycles of `series`; each is whole (1.0) or half (0.5).

    Args:
        series: values in order, at least one.
        points: scratch space, as long as `series`.
        depths: receives each cycle's range; as long as `series`.
        counts: receives 1.0 or 0.5 for each; as long as `series`.

    Returns:
        How many cycles were written.
    """
    size, bottom, found = 0, 0, 0
    for at in range(series.size):
        if not _is_reversal(series, at):
            continue
        points[size] = series[at]
        size += 1
        while size - bottom >= 3:
            newer = abs(points[size - 1] - points[size - 2])
            older = abs(points[size - 2] - points[size - 3])
            if newer < older:
                break
            depths[found] = older
            if size - bottom == 3:
                # The range holds the first point: half a cycle, and the first point goes.
                counts[found] = 0.5
                bottom += 1
            else:
                counts[found] = 1.0
                points[size - 3] = points[size - 1]
                size -= 2
            found += 1
    for at in range(bottom, size - 1):
        depths[found] = abs(points[at + 1] - points[at])
        counts[found] = 0.5
        found += 1
    return found


@compiled
def _is_reversal(series: Floats, at: int) -> bool:
    """Whether the series turns at `at`; its ends always count, a plateau counts at its end."""
    if at == 0 or at == series.size - 1:
        return True
    after = series[at + 1] - series[at]
    if after == 0.0:
        return False
    before_at = at - 1
    while before_at > 0 and series[before_at] == series[at]:
        before_at -= 1
    return bool((series[at] - series[before_at]) * after < 0.0)
