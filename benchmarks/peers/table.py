"""Results as one narrow table an instance, which Markdown and a terminal both show, and as JSON."""

from __future__ import annotations

import datetime as dt
import json
import os
import platform
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.peers.contestants import OWN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.peers.compare import Result

HEADINGS = ("who", "s", "ratio", "build", "solve", "rest", "MB", "profit", "gap", "worst")


def machine() -> dict[str, Any]:
    """Where and when figures were taken, and how busy the machine was besides."""
    return {
        "date": dt.datetime.now(dt.UTC).isoformat(timespec="minutes"),
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "load_average": round(os.getloadavg()[2], 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def to_json(results: Sequence[Result], where: dict[str, Any], limits: dict[str, float]) -> str:
    document = {
        "machine": where,
        "limits": limits,
        "results": [result.to_dict() for result in results],
    }
    return json.dumps(document, indent=1) + "\n"


def to_markdown(results: Sequence[Result], where: dict[str, Any], limits: dict[str, float]) -> str:
    """One table an instance, under where and when; notes below each."""
    versions = {name: words for result in results for name, words in result.versions.items()}
    lines = [
        f"{where['date']}, {where['cpu']}, {where['cores']} cores, load average "
        f"{where['load_average']:g} at the start.",
        f"{where['system']}, Python {where['python']}; "
        + ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
        + ".",
        f"Limits of each run: {limits['time_s']:g} s, {limits['memory_mb']:,.0f} MB; "
        f"relative gap asked {limits['gap']:g}.",
    ]
    for recipe, group in groupby(results, key=lambda result: result.recipe):
        lines += ["", f"**{recipe}**", "", *_table(list(group))]
    return "\n".join(lines) + "\n"


def _table(rows: Sequence[Result]) -> list[str]:
    own = next((row.total_s for row in rows if row.contestant == OWN), None)
    cells = [list(HEADINGS), *(_cells(row, own) for row in rows if row.total_s is not None)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [_line(row, widths) for row in cells]
    dashes = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    lines.insert(1, _line(dashes, widths))
    notes = [f"- {row.contestant}: {note}" for row in rows if (note := _note(row))]
    return [*lines, *(["", *notes] if notes else [])]


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first = cells[0].ljust(widths[0])
    rest = [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
    return "| " + " | ".join([first, *rest]) + " |"


def _cells(row: Result, own_s: float | None) -> list[str]:
    assert row.total_s is not None
    build, solve = (row.seconds.get(phase, 0.0) for phase in ("build", "solve"))
    return [
        row.contestant,
        _number(row.total_s),
        _number(row.total_s / own_s) if own_s and row.finished else "",
        _number(build),
        _number(solve),
        _number(row.total_s - build - solve),
        f"{row.peak_memory_mb:.0f}",
        f"{row.profit:.2f}",
        "" if row.gap is None else f"{row.gap:.0e}",
        f"{row.worst_violation:.0e}",
    ]


def _number(value: float) -> str:
    digits = 0 if value >= 99.95 else 1 if value >= 9.995 else 2
    return f"{value:.{digits}f}"


def _note(row: Result) -> str:
    words = [row.note] if row.note else []
    if row.breaches:
        words.append(f"{row.breaches:,} units with a broken rule ({', '.join(row.breaks)})")
    return "; ".join(words)
