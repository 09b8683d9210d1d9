"""What a contestant reads and writes: an instance without any of gridsim's types, and an answer.

Run by the Python of every contestant, so it needs numpy alone. Power is positive into a battery or
group (charging, importing); series over intervals are interval means.
"""

from __future__ import annotations

import json
import resource
import signal
import sys
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WHOLE = -1
"""Group of a limit on all batteries and loads together; parent of a group at the top."""
GRACE_S = 15.0
"""Beyond its time limit, for a contestant that stops by itself to give what it has."""


@dataclass(frozen=True, eq=False)
class Instance:
    """N batteries, G groups in a tree, L limits, T intervals.

    Attributes:
        recipe: how to make the instance again, as JSON.
        start: of the first interval, RFC 3339.
        step_h: shape (T,).
        price_import_per_kwh, price_export_per_kwh: shape (T,).
        group: shape (N,), the group each battery sits in.
        energy_kwh_*: shape (N,), of the store; `end_min` is wanted at the end of the horizon.
        p_*_kw_*: shape (N,), at the terminals; `min` holds only while it runs.
        power_levels: shape (N,), equal steps to full power (1: on/off), 0: continuous.
        efficiency_*, wear_*_per_kwh: shape (N,).
        parent: shape (G,).
        fixed_kw: shape (G, T), load less generation of each group itself, children not included.
        limit_group: shape (L,).
        limit_kw_max, limit_kw_min: shape (L, T), on the net of a group: batteries and `fixed_kw`.
    """

    recipe: str
    start: str
    step_h: np.ndarray
    price_import_per_kwh: np.ndarray
    price_export_per_kwh: np.ndarray
    group: np.ndarray
    energy_kwh_initial: np.ndarray
    energy_kwh_min: np.ndarray
    energy_kwh_max: np.ndarray
    energy_kwh_end_min: np.ndarray
    p_charge_kw_max: np.ndarray
    p_discharge_kw_max: np.ndarray
    p_charge_kw_min: np.ndarray
    p_discharge_kw_min: np.ndarray
    power_levels: np.ndarray
    efficiency_charge: np.ndarray
    efficiency_discharge: np.ndarray
    wear_charge_per_kwh: np.ndarray
    wear_discharge_per_kwh: np.ndarray
    parent: np.ndarray
    fixed_kw: np.ndarray
    limit_group: np.ndarray
    limit_kw_max: np.ndarray
    limit_kw_min: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        """(batteries, intervals)."""
        return len(self.group), len(self.step_h)

    @property
    def is_discrete(self) -> np.ndarray:
        """Batteries that cannot take any power, shape (N,)."""
        least = (self.p_charge_kw_min > 0) | (self.p_discharge_kw_min > 0)
        return (self.power_levels > 0) | least

    def groups_below(self, group: int) -> list[int]:
        """The group and all that hangs below it."""
        if group == WHOLE:
            return list(range(len(self.parent)))
        found = [group]
        for at in found:
            found.extend(np.flatnonzero(self.parent == at).tolist())
        return found

    def below(self, group: int) -> tuple[np.ndarray, np.ndarray]:
        """Batteries below a group, and the fixed net below it, shape (T,)."""
        groups = self.groups_below(group)
        return np.flatnonzero(np.isin(self.group, groups)), self.fixed_kw[groups].sum(axis=0)

    def save(self, path: Path) -> None:
        np.savez(path, **{column.name: getattr(self, column.name) for column in fields(self)})

    @classmethod
    def load(cls, path: Path) -> Instance:
        with np.load(path) as file:
            words = {name: str(file[name]) for name in ("recipe", "start")}
            columns = {name: file[name] for name in file.files if name not in words}
        return cls(**words, **columns)


@dataclass
class Answer:
    """What a contestant found, and what it took.

    Attributes:
        p_charge_kw, p_discharge_kw: shape (N, T), ≥ 0; None where it found nothing.
        seconds: by phase: build, solve, extract (and certify, compile, audit where it has them).
        bound: the most that any plan earns, where the contestant proves one.
        planned: how many batteries it planned; fewer than all where it ran out of time.
        peak_memory_mb: of the whole process.
        versions: of what decides its speed.
        note: what a reader of the table must know.
    """

    p_charge_kw: np.ndarray | None = None
    p_discharge_kw: np.ndarray | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    bound: float | None = None
    planned: int = 0
    peak_memory_mb: float = 0.0
    versions: dict[str, str] = field(default_factory=dict)
    note: str = ""

    def give(self, p_charge_kw: np.ndarray, p_discharge_kw: np.ndarray) -> None:
        """Take the powers of all batteries; a solver's −1e-12 is 0."""
        self.p_charge_kw = np.maximum(p_charge_kw, 0.0)
        self.p_discharge_kw = np.maximum(p_discharge_kw, 0.0)
        self.planned = len(p_charge_kw)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Add the time of a block to a phase."""
        started = time.perf_counter()
        yield
        taken = time.perf_counter() - started
        self.seconds[name] = self.seconds.get(name, 0.0) + taken

    @contextmanager
    def phases_around_highs(self, highs: Any) -> Iterator[None]:
        """Split a block at its runs of HiGHS, a class of highspy: before, in and after them.

        Most modelling layers build, solve and read back in one call.
        """
        original, runs = highs.run, []

        def run(solver: Any, *given: Any) -> Any:
            began = time.perf_counter()
            try:
                return original(solver, *given)
            finally:
                runs.append((began, time.perf_counter()))

        started, highs.run = time.perf_counter(), run
        try:
            yield
        finally:
            highs.run = original
        ended = time.perf_counter()
        first, last = (runs[0][0], runs[-1][1]) if runs else (ended, ended)
        for name, taken in (
            ("build", first - started),
            ("solve", last - first),
            ("extract", ended - last),
        ):
            self.seconds[name] = self.seconds.get(name, 0.0) + taken

    def save(self, path: Path) -> None:
        words = asdict(self)
        powers = {name: words.pop(name) for name in ("p_charge_kw", "p_discharge_kw")}
        arrays = {name: value for name, value in powers.items() if value is not None}
        np.savez(path, words=json.dumps(words), **arrays)

    @classmethod
    def load(cls, path: Path) -> Answer:
        with np.load(path) as file:
            words = json.loads(str(file["words"]))
            arrays = {name: file[name] for name in file.files if name != "words"}
        return cls(**arrays, **words)


def versions_of(*packages: str) -> dict[str, str]:
    found = {}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def contest(plan: Callable[[Instance, Answer, dict[str, Any]], None], *packages: str) -> None:
    """The whole of a contestant's process: ``script INSTANCE ANSWER OPTIONS`` (JSON).

    Options always hold `time_limit_s` and `memory_mb`. The process ends itself a little after that
    time, wherever it is.
    """
    source, target, options = Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])
    most = int(options["memory_mb"] * (1 << 20))
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    answer = Answer(versions=versions_of(*packages))
    instance = Instance.load(source)
    end_after(options["time_limit_s"])
    plan(instance, answer, options)
    signal.setitimer(signal.ITIMER_REAL, 0.0)
    answer.peak_memory_mb = _peak_memory_mb()
    answer.save(target)


def end_after(time_limit_s: float) -> None:
    """End this process soon after the limit, inside a solver too. The last call counts."""
    signal.setitimer(signal.ITIMER_REAL, 1.05 * time_limit_s + GRACE_S)


def _peak_memory_mb() -> float:
    """Largest resident memory of this program.

    Linux hands a process's ``ru_maxrss`` on to what it starts; the high-water mark in ``/proc`` is
    the program's own.
    """
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        lines = []
    own = [int(line.split()[1]) for line in lines if line.startswith("VmHWM")]
    if own:
        return own[0] / (1 << 10)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)
