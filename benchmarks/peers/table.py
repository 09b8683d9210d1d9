"""Results as one table an instance, with machine, versions and date, in Markdown and JSON."""

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

HEADINGS = (
    "who",
    "seconds",
    "÷ gridsim",
    "build",
    "solve",
    "extract",
    "certify",
    "peak MB",
    "profit",
    "gap",
    "worst violation",
    "note",
)


def machine() -> dict[str, Any]:
    """Where and when figures were taken."""
    return {
        "date": dt.datetime.now(dt.UTC).isoformat(timespec="minutes"),
        "cpu": _cpu(),
        "cores": os.cpu_count(),
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


def versions(results: Sequence[Result]) -> dict[str, dict[str, str]]:
    """Versions by contestant."""
    return {result.contestant: result.versions for result in results if result.versions}


def to_json(results: Sequence[Result], limits: dict[str, float]) -> str:
    document = {
        "machine": machine(),
        "limits": limits,
        "results": [result.to_dict() for result in results],
    }
    return json.dumps(document, indent=1)


def to_markdown(results: Sequence[Result]) -> str:
    """One table an instance, under a line of where and when."""
    where = machine()
    lines = [
        f"{where['date']}, {where['cpu']}, {where['cores']} cores, {where['system']}, "
        f"Python {where['python']}.",
        "",
    ]
    for name, found in sorted(versions(results).items()):
        lines.append(f"- {name}: " + ", ".join(f"{k} {v}" for k, v in found.items()))
    for recipe, group in groupby(results, key=lambda result: result.recipe):
        lines += ["", f"**{recipe}**", ""]
        lines += ["| " + " | ".join(HEADINGS) + " |", "|" + "---|" * len(HEADINGS)]
        rows = list(group)
        own = next((row.total_s for row in rows if row.contestant == OWN), None)
        lines += ["| " + " | ".join(_cells(row, own)) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _cells(row: Result, own_s: float | None) -> list[str]:
    if row.total_s is None:
        return [row.contestant, *[""] * (len(HEADINGS) - 2), row.note]
    ratio = f"{row.total_s / own_s:.3g}" if own_s else ""
    phases = [_number(row.seconds.get(phase)) for phase in HEADINGS[3:7]]
    worst = next(iter(row.breaks), "")
    return [
        row.contestant,
        _number(row.total_s),
        ratio if row.finished else "",
        *phases,
        f"{row.peak_memory_mb:,.0f}",
        f"{row.profit:.4f}",
        "" if row.gap is None else f"{row.gap:.1e}",
        f"{row.worst_violation:.1e} ({worst})" if worst else "none",
        row.note,
    ]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}" if value < 100 else f"{value:.0f}"
