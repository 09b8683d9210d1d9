"""The dispatch problem as one Pyomo model; equations, names and duals in ``docs/formulation.md``.

Throughput of a battery counts both legs at the store: ``η_c·c·Δ + d·Δ/η_d``. One full cycle is
twice the rated energy.
"""

from optimizer.formulation.exclusion import burners, needs_binary
from optimizer.formulation.layout import Layout
from optimizer.formulation.model import build_model

__all__ = ["Layout", "build_model", "burners", "needs_binary"]
