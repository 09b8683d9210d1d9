"""Whether a problem fits into the machine's memory, asked before a solve starts.

A process that asks for more than there is is killed without a word, or takes the machine with it.
The estimates are linear in batteries times intervals, with coefficients measured on drawn instances
(`docs/scale.md`); they are about the memory that a solve takes beside the problem.
"""

from __future__ import annotations

import os
from pathlib import Path

from optimizer.errors import TooLargeError

PLAN_BYTES = 64
"""Of a plan, for each battery and interval: powers, energy and its value, and as much again for
what is made on the way."""
PIECE_BYTES = 600
"""Of the interior point's state, for each unit and interval of the pieces that are solved at once.
"""
MODEL_BYTES = 7_000
"""Of the Pyomo model with its compiled form and HiGHS, for each battery and interval."""

_MEMINFO = Path("/proc/meminfo")
_OWN_GROUPS = Path("/proc/self/cgroup")
_GROUPS = Path("/sys/fs/cgroup")


def engine_bytes(batteries: int, intervals: int, at_once: int = 0) -> int:
    """What the structured engine takes beside the problem.

    Args:
        batteries: of the problem.
        intervals: of the problem.
        at_once: batteries and generators of the pieces that are in memory at the same time; a
            single tree of groups is one piece.
    """
    return intervals * (PLAN_BYTES * batteries + PIECE_BYTES * at_once)


def model_bytes(batteries: int, intervals: int) -> int:
    """What the Pyomo model and HiGHS take beside the problem."""
    return MODEL_BYTES * batteries * intervals


def require_memory(what: str, needed: int) -> None:
    """Go on only where there is as much memory as is needed, or nobody knows how much there is.

    Args:
        what: the problem and who is to solve it, in words.
        needed: bytes.

    Raises:
        TooLargeError: less is available.
    """
    available = available_bytes()
    if available is not None and needed > available:
        raise TooLargeError(what, needed, available)


def available_bytes() -> int | None:
    """Memory that this process may still take without swapping; None where no one tells.

    The system's, and where its control groups allow less, what is left of that.
    """
    found = [_free_of_system(), *_free_of_groups()]
    known = [free for free in found if free is not None]
    return max(min(known), 0) if known else None


def _free_of_system() -> int | None:
    for line in _lines(_MEMINFO):
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) << 10
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None


def _free_of_groups() -> list[int]:
    """What is left in each control group from the process's own up to the top."""
    found = []
    for line in _lines(_OWN_GROUPS):
        _, controllers, path = line.split(":", 2)
        names = ("memory.max", "memory.current", "inactive_file")
        top = _GROUPS
        if controllers:
            if "memory" not in controllers.split(","):
                continue
            top = _GROUPS / "memory"
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        folder = top / path.lstrip("/")
        # In a container the path is the host's, and its own group stands at the top.
        for group in (folder, *folder.parents):
            free = _free_of_group(group, *names)
            if free is not None:
                found.append(free)
            if group == top:
                break
    return found


def _free_of_group(group: Path, limit: str, usage: str, cache: str) -> int | None:
    """None where the group has no limit. Files that are only cached count as free."""
    most, used = _lines(group / limit), _lines(group / usage)
    if not most or not used or not most[0].isdigit():
        return None
    cached = [line.split()[1] for line in _lines(group / "memory.stat") if line.startswith(cache)]
    return int(most[0]) - int(used[0]) + sum(int(size) for size in cached[:1])


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
