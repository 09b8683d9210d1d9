"""``python -m benchmarks.peers``: contestants side by side on the same instances.

Without ``--congestion``, ``--intervals`` and ``--discrete`` the sizes are compared on plain
instances (moderate, 48 half-hours, continuous), and then one thing at a time is changed.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict, replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.peers.compare import compare
from benchmarks.peers.contestants import CONTESTANTS, USUAL, Limits, named
from benchmarks.peers.instance import Recipe
from benchmarks.peers.table import machine, to_json, to_markdown

if TYPE_CHECKING:
    from collections.abc import Iterable

    from benchmarks.peers.compare import Result

VARIED_BATTERIES = 1000
"""Size at which one thing at a time is changed."""
VARIANTS: tuple[dict[str, Any], ...] = (
    {"congestion": "none"},
    {"congestion": "heavy"},
    {"intervals": 96},
    {"discrete": 0.3},
    {"discrete": 1.0},
)


def main() -> None:
    asked = _arguments()
    limits = Limits(asked.time_limit, asked.memory, asked.gap)
    where, results = machine(), []
    for result in compare(_recipes(asked), named(asked.who), limits):
        results.append(result)
        seconds = "" if result.total_s is None else f"{result.total_s:.3g} s "
        words = f"{result.recipe}: {result.contestant} {seconds}{result.note}"
        print(words, file=sys.stderr, flush=True)
        _write(asked.out, results, where, asdict(limits))
    print(to_markdown(results, where, asdict(limits)))


def _write(
    folder: Path | None, results: list[Result], where: dict[str, Any], limits: dict[str, float]
) -> None:
    """What there is so far, so that a run can be stopped."""
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "side_by_side.md").write_text(to_markdown(results, where, limits))
        (folder / "side_by_side.json").write_text(to_json(results, where, limits))


def _recipes(asked: argparse.Namespace) -> Iterable[Recipe]:
    sizes = sorted(asked.batteries)
    plain = Recipe(0, seed=asked.seed, nested=not asked.flat, price_min=asked.price_min)
    if asked.congestion or asked.intervals or asked.discrete:
        cases = product(
            asked.intervals or [plain.intervals],
            asked.congestion or [plain.congestion],
            asked.discrete or [plain.discrete],
            sizes,
        )
        for intervals, congestion, discrete, size in cases:
            changed = {"intervals": intervals, "congestion": congestion, "discrete": discrete}
            yield replace(plain, batteries=size, **changed)
        return
    for size in sizes:
        yield replace(plain, batteries=size)
    for variant in VARIANTS:
        yield replace(plain, batteries=min(VARIED_BATTERIES, sizes[-1]), **variant)
    if sizes[-1] > VARIED_BATTERIES:
        yield replace(plain, batteries=sizes[-1], discrete=0.3)


def _arguments() -> argparse.Namespace:
    names = ", ".join(contestant.name for contestant in CONTESTANTS)
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--batteries", type=int, nargs="+", default=[100, 1000, 10_000])
    parser.add_argument("--intervals", type=int, nargs="+")
    parser.add_argument("--congestion", nargs="+")
    parser.add_argument("--discrete", type=float, nargs="+")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--flat", action="store_true", help="areas without feeders above them")
    parser.add_argument("--price-min", type=float, help="raise prices to at least this")
    parser.add_argument("--who", default=USUAL, help=f"comma-separated: {names}; or all")
    parser.add_argument("--time-limit", type=float, default=120.0, help="seconds for each run")
    parser.add_argument("--memory", type=float, default=8192.0, help="MB for each run")
    parser.add_argument("--gap", type=float, default=1e-4, help="asked of every solver")
    parser.add_argument("--out", type=Path, help="folder for side_by_side.md and .json")
    return parser.parse_args()


if __name__ == "__main__":
    main()
