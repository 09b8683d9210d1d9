"""The live side: from a plan to what devices may do. For now: the gate and its verdict.

Everything in `__all__` is loaded when it is first used, so that what needs no power flow and no
twin does not wait for them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dispatch.battery_checks import Tolerance as Tolerance
    from dispatch.findings import Check as Check
    from dispatch.findings import Finding as Finding
    from dispatch.gate import Gate as Gate
    from dispatch.grid_checks import GridBreach as GridBreach
    from dispatch.grid_checks import PowerFlow as PowerFlow
    from dispatch.verdict import Evidence as Evidence
    from dispatch.verdict import Verdict as Verdict

# Where each public name lives. Type checkers read the imports above; a test keeps the two alike.
_HOMES = {
    "Check": "dispatch.findings",
    "Evidence": "dispatch.verdict",
    "Finding": "dispatch.findings",
    "Gate": "dispatch.gate",
    "GridBreach": "dispatch.grid_checks",
    "PowerFlow": "dispatch.grid_checks",
    "Tolerance": "dispatch.battery_checks",
    "Verdict": "dispatch.verdict",
}

__all__ = [
    "Check",
    "Evidence",
    "Finding",
    "Gate",
    "GridBreach",
    "PowerFlow",
    "Tolerance",
    "Verdict",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'dispatch' has no attribute {name!r}")
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value  # the next access does not come here
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
