"""The live side: from a plan to what devices may do. For now: the gate and its verdict."""

from dispatch.battery_checks import Tolerance
from dispatch.findings import Check, Finding
from dispatch.gate import Gate
from dispatch.grid_checks import GridBreach, PowerFlow
from dispatch.verdict import Evidence, Verdict

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
