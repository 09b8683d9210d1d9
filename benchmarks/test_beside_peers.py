"""gridsim beside other systems on the same instances in the same run, as one table.

The table and its JSON are written to ``benchmarks/results`` after each contestant. A contestant
that does not finish is a skip with its reason, and is not asked for a larger instance.
"""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from benchmarks.peers.compare import Comparison, GivenUp, Result
from benchmarks.peers.contestants import Contestant, named
from benchmarks.peers.instance import Recipe
from benchmarks.peers.table import to_json, to_markdown
from benchmarks.test_dispatch import LIMITS, SIZES

if TYPE_CHECKING:
    from collections.abc import Iterator

CONTESTANTS = named(os.environ.get("BENCH_WHO", "all"))
FOLDER = Path(__file__).parent / "results"


class Table:
    """Results so far, and the instance that is being solved."""

    def __init__(self) -> None:
        self.results: list[Result] = []
        self.given_up = GivenUp()
        self._comparison: Comparison | None = None

    def run(self, contestant: Contestant, recipe: Recipe) -> Result:
        reason = self.given_up.reason(contestant, recipe)
        if reason:
            return Result(contestant.name, recipe, reason)
        if self._comparison is None or self._comparison.recipe != recipe:
            self._comparison = Comparison(recipe, LIMITS)
        return self._comparison.run(contestant)

    def add(self, result: Result) -> None:
        self.given_up.note(result)
        self.results.append(result)
        FOLDER.mkdir(exist_ok=True)
        (FOLDER / "side_by_side.md").write_text(to_markdown(self.results))
        (FOLDER / "side_by_side.json").write_text(to_json(self.results, asdict(LIMITS)))


@pytest.fixture(scope="module")
def table() -> Iterator[Table]:
    found = Table()
    yield found
    print("\n" + to_markdown(found.results))


@pytest.mark.benchmark(group="beside peers")
@pytest.mark.parametrize("contestant", CONTESTANTS, ids=lambda contestant: contestant.name)
@pytest.mark.parametrize("size", SIZES)
def test_beside_peers(benchmark, table: Table, size: int, contestant: Contestant) -> None:
    result = benchmark.pedantic(table.run, args=(contestant, Recipe(size)), rounds=1)
    table.add(result)
    if not result.finished:
        pytest.skip(result.note)
    benchmark.extra_info["total_s"] = result.total_s
    benchmark.extra_info["worst_violation"] = result.worst_violation
