"""One measured solve of a drawn instance: time by phase, memory, profit and proof."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gridsim.instances import make_instance
from gridsim.run.machine import peak_memory_mb
from optimizer.errors import UnsupportedFeatureError
from optimizer.memory import engine_bytes, model_bytes, require_memory
from optimizer.solve import BATTERIES_FOR_ENGINE, solve

if TYPE_CHECKING:
    from gridsim.instances import Congestion
    from optimizer.plan import Plan
    from optimizer.problem import DispatchProblem
    from optimizer.rounding import Resolution
    from optimizer.solve import Solver

PACKAGES = ("gridsim", "numpy", "numba", "pyomo", "highspy")
PHASES = ("build", "solve", "extract", "certify", "round")
_TINY = 60
"""Batteries of the instance that compiles everything: one area."""
_INSTANCE_BYTES = 600
"""Of an instance, for each battery: names, and columns with one number a battery."""


@dataclass(frozen=True)
class DispatchBench:
    """What to measure; see `gridsim.instances.make_instance` and `optimizer.solve.solve`."""

    batteries: int
    intervals: int = 48
    congestion: Congestion = "moderate"
    discrete: float = 0.0
    seed: int = 0
    nested: bool = True
    solver: Solver = "auto"
    resolution_w: Resolution = None
    gap: float = 1e-4
    time_limit_s: float | None = None
    threads: int | None = None
    audit: bool = False

    def measure(self) -> dict[str, Any]:
        """Draw, solve and prove one instance.

        Returns:
            One flat object with ``seconds`` by phase; ``seconds.total`` runs from a problem in
            memory to a certified plan (the audit apart), ``seconds_compile`` is the solve of a tiny
            instance first, which loads and compiles what is not compiled yet.

        Raises:
            InstanceError: the instance makes no sense.
            UnsupportedFeatureError: the solver does not carry it.
            TooLargeError: the solve would take more memory than there is.
        """
        self._require_memory()
        clock = time.perf_counter()
        problem = make_instance(
            self.batteries, self.intervals, self.congestion, self.discrete, self.seed, self.nested
        )
        drawn_s = time.perf_counter() - clock
        clock = time.perf_counter()
        self._compile()
        compiled_s = time.perf_counter() - clock
        clock = time.perf_counter()
        plan = self._plan(problem, self.solver)
        total_s = time.perf_counter() - clock
        return self._content(plan, compiled_s, drawn_s, total_s)

    def _require_memory(self) -> None:
        """Refuse before anything is drawn; the solver asks again, with the tree in sight."""
        shape = self.batteries, self.intervals
        by_model = self.solver == "monolith"
        by_model |= self.solver == "auto" and self.batteries < BATTERIES_FOR_ENGINE
        needed = _INSTANCE_BYTES * self.batteries
        needed += model_bytes(*shape) if by_model else engine_bytes(*shape)
        require_memory(f"{self.batteries:,} batteries over {self.intervals:,} half-hours", needed)

    def _compile(self) -> None:
        """Solve a tiny instance with every solver that may be taken.

        The model needs no discrete batteries to be loaded, and a branch and bound may not end.
        """
        tiny = make_instance(_TINY, self.intervals, self.congestion, self.discrete, self.seed)
        convex = make_instance(_TINY, self.intervals, self.congestion, 0.0, self.seed)
        if self.solver != "monolith":
            with contextlib.suppress(UnsupportedFeatureError):
                self._plan(tiny, "structured")
        if self.solver != "structured":
            self._plan(convex, "monolith")

    def _plan(self, problem: DispatchProblem, solver: Solver) -> Plan:
        return solve(
            problem,
            gap=self.gap,
            time_limit_s=self.time_limit_s,
            threads=self.threads,
            solver=solver,
            audit=self.audit,
            resolution_w=self.resolution_w,
        )

    def _content(
        self, plan: Plan, compiled_s: float, drawn_s: float, total_s: float
    ) -> dict[str, Any]:
        certificate, solver = plan.certificate, plan.solver
        assert certificate is not None
        assert solver is not None
        seconds = {phase: solver.seconds.get(phase, 0.0) for phase in PHASES}
        audit_s = solver.seconds.get("audit", 0.0)
        # A search names phases of its own: all of them are solving.
        own = {phase for phase in solver.seconds if phase not in (*PHASES, "audit")}
        seconds["solve"] += sum(solver.seconds[phase] for phase in own)
        return {
            **asdict(self),
            "seconds": {**seconds, "total": total_s - audit_s, "audit": audit_s},
            "seconds_compile": compiled_s,
            "seconds_instance": drawn_s,
            "status": plan.status.value,
            "stop_reason": plan.stop_reason.value,
            "solver_name": solver.name,
            "why": solver.why,
            "cells_left": solver.cells_left,
            "profit": certificate.profit,
            "profit_bound": certificate.profit_bound,
            "gap": certificate.gap,
            "gap_asked": self.gap,
            "gap_absolute": certificate.gap_absolute,
            "worst_violation": certificate.worst_violation,
            "breaches": len(plan.breaches),
            "audit_agrees": None if solver.audit is None else solver.audit.agrees,
            "peak_memory_mb": peak_memory_mb(),
            "versions": _versions(),
            "machine": _machine(),
        }


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    return found | {name: importlib.metadata.version(name) for name in PACKAGES}


def _machine() -> dict[str, Any]:
    return {"processor": _processor(), "cores": os.cpu_count(), "system": platform.platform()}


def _processor() -> str:
    """The processor's own name, where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
