"""Benchmarks are compared inside one run: a figure is a ratio, with machine and versions beside it.

Nothing here asserts a time.
"""

from __future__ import annotations

import os
import platform
from typing import TYPE_CHECKING, Any

import pytest

from dispatch.gate import versions
from gridsim.run.machine import peak_memory_mb

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gridsim.study.study import Study


def pytest_benchmark_update_machine_info(
    config: pytest.Config, machine_info: dict[str, Any]
) -> None:
    """Versions of everything that can change a figure."""
    machine_info["gridsim"] = versions()


@pytest.fixture(scope="session")
def study_of() -> Callable[[str], Study]:
    """Shipped scenarios, each loaded once a session."""
    from gridsim.study.study import Study

    loaded: dict[str, Study] = {}

    def load(name: str) -> Study:
        if name not in loaded:
            loaded[name] = Study.load(name)
        return loaded[name]

    return load


@pytest.fixture(autouse=True)
def peak_memory(request: pytest.FixtureRequest) -> Iterator[None]:
    """Adds the process's peak memory so far to each benchmark's figures."""
    benchmark = None
    if "benchmark" in request.fixturenames:
        benchmark = request.getfixturevalue("benchmark")
    yield
    if benchmark is not None:
        benchmark.extra_info["peak_memory_mb"] = peak_memory_mb()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Where the figures come from, and the ratios that the tests stated."""
    session = getattr(terminalreporter.config, "_benchmarksession", None)
    if session is None or not session.benchmarks:
        return
    found = ", ".join(f"{name} {version}" for name, version in versions().items())
    terminalreporter.write_line(f"{os.cpu_count()} cores, {platform.machine()}; {found}")
    for bench in session.benchmarks:
        extra = ", ".join(f"{key} {value:.4g}" for key, value in sorted(bench.extra_info.items()))
        terminalreporter.write_line(f"{bench.name}: {extra}")
