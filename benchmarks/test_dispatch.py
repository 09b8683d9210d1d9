"""Dispatch of drawn instances, cold: gridsim alone over sizes, and one thing changed at a time.

``BENCH_SIZES`` names the sizes; 100,000 and 1,000,000 are left to those who ask for them. The time
and the memory of each case are those of a process of its own.
"""

from __future__ import annotations

import os

import pytest

from benchmarks.peers.compare import Comparison, Result
from benchmarks.peers.contestants import OWN, Limits, named
from benchmarks.peers.instance import Recipe

SIZES = [int(size) for size in os.environ.get("BENCH_SIZES", "100 1000 10000").split()]
LIMITS = Limits(time_s=float(os.environ.get("BENCH_LIMIT_S", "60")))
CHANGES: tuple[dict[str, object], ...] = (
    {},
    {"congestion": "none"},
    {"congestion": "heavy"},
    {"discrete": 0.3},
    {"discrete": 1.0},
    {"intervals": 96},
)
CASES = [Recipe(size, **change) for size in SIZES for change in CHANGES]


@pytest.mark.benchmark(group="dispatch")
@pytest.mark.parametrize("recipe", CASES, ids=lambda recipe: str(recipe).replace("×", "x"))
def test_dispatch(benchmark, recipe: Recipe) -> None:
    comparison = Comparison(recipe, LIMITS)
    result: Result = benchmark.pedantic(comparison.run, args=named(OWN), rounds=1)
    if not result.finished:
        pytest.skip(result.note)
    figures = {f"{phase}_s": seconds for phase, seconds in result.seconds.items()}
    figures |= {"total_s": result.total_s, "gap": result.gap, "profit": result.profit}
    benchmark.extra_info |= figures
    benchmark.extra_info["case_peak_memory_mb"] = result.peak_memory_mb
    assert result.worst_violation <= 1e-6, result.breaks
