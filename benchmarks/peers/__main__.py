"""``python -m benchmarks.peers``: contestants side by side on instances of your choice."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.peers.compare import compare
from benchmarks.peers.contestants import CONTESTANTS, Limits, named
from benchmarks.peers.instance import Recipe
from benchmarks.peers.table import to_json, to_markdown

if TYPE_CHECKING:
    from benchmarks.peers.compare import Result


def main() -> None:
    asked = _arguments()
    contestants = named(asked.who)
    limits = Limits(asked.time_limit, asked.memory, asked.gap)
    cases = product(asked.intervals, asked.congestion, asked.discrete, asked.batteries)
    recipes = [
        Recipe(count, intervals, congestion, discrete, asked.seed, not asked.flat, asked.price_min)
        for intervals, congestion, discrete, count in cases
    ]
    results: list[Result] = []
    for result in compare(recipes, contestants, limits):
        results.append(result)
        seconds = "" if result.total_s is None else f"{result.total_s:.3g} s "
        words = f"{result.recipe}: {result.contestant} {seconds}{result.note}"
        print(words, file=sys.stderr, flush=True)
        if asked.out is not None:  # after each: a run that is cut short leaves what it has
            _write(asked.out, results, limits)
    print(to_markdown(results))


def _write(folder: Path, results: list[Result], limits: Limits) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "side_by_side.md").write_text(to_markdown(results))
    (folder / "side_by_side.json").write_text(to_json(results, asdict(limits)))


def _arguments() -> argparse.Namespace:
    names = ", ".join(contestant.name for contestant in CONTESTANTS)
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--batteries", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--intervals", type=int, nargs="+", default=[48])
    parser.add_argument("--congestion", nargs="+", default=["moderate"])
    parser.add_argument("--discrete", type=float, nargs="+", default=[0.0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--flat", action="store_true", help="areas without feeders above them")
    parser.add_argument("--price-min", type=float, help="raise prices to at least this")
    parser.add_argument("--who", default="all", help=f"comma-separated: {names}; or all")
    parser.add_argument("--time-limit", type=float, default=120.0, help="seconds for each run")
    parser.add_argument("--memory", type=float, default=8192.0, help="MB for each run")
    parser.add_argument("--gap", type=float, default=1e-4, help="asked of every solver")
    parser.add_argument("--out", type=Path, help="folder for side_by_side.md and .json")
    return parser.parse_args()


if __name__ == "__main__":
    main()
