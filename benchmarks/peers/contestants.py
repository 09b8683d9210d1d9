"""Who takes part, in whose Python, and one run of one of them in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.peers.exchange import Answer

if TYPE_CHECKING:
    from benchmarks.peers.exchange import Instance

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
OWN = "gridsim"
START_S = 300.0
"""Beyond the time limit, for starting, importing and compiling, which are not counted."""


@dataclass(frozen=True)
class Contestant:
    """A script with options, run by one environment's Python.

    Attributes:
        name: as in tables and on the command line.
        script: file beside this one.
        environment: `gridsim` for this Python, otherwise a folder of `environments()`.
        is_only_discrete: whether it adds nothing where all batteries are continuous.
        options: for the script.
    """

    name: str
    script: str
    environment: str = OWN
    is_only_discrete: bool = False
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def python(self) -> Path:
        """The Python that runs it; without following links, so that it keeps its packages."""
        if self.environment == OWN:
            return Path(sys.executable)
        return environments() / self.environment / "bin" / "python"


def _flexmeasures(backend: str, *, wear: bool = True) -> Contestant:
    name = f"flexmeasures-{'direct' if backend == 'highspy' else 'pyomo'}"
    name += "" if wear else "-no-wear"
    options = {"backend": backend, "wear": wear}
    return Contestant(name, "with_flexmeasures.py", "flexmeasures", options=options)


def _arrays(name: str, method: str, *, exact: bool) -> Contestant:
    options = {"method": method, "exact": exact}
    return Contestant(f"arrays-{name}", "with_arrays.py", is_only_discrete=exact, options=options)


CONTESTANTS = (
    Contestant("gridsim", "with_gridsim.py", options={"solver": "structured"}),
    Contestant("monolith", "with_gridsim.py", options={"solver": "monolith"}),
    _arrays("simplex", "simplex", exact=False),
    _arrays("ipm", "ipm", exact=False),
    _arrays("milp", "choose", exact=True),
    Contestant("pypsa", "with_pypsa.py", "pypsa"),
    _flexmeasures("highspy"),
    _flexmeasures("appsi_highs"),
    _flexmeasures("highspy", wear=False),
    Contestant("emhass", "with_emhass.py", "emhass"),
)
"""gridsim first: the others' gaps are to its bound."""
USUAL = (
    "gridsim,monolith,arrays-simplex,arrays-ipm,arrays-milp,"
    "pypsa,flexmeasures-direct,flexmeasures-pyomo,emhass"
)
"""Who takes part where nobody is named."""


def environments() -> Path:
    """Folder of the peers' environments: ``PEER_VENVS``, or what `make bench-peers` made."""
    return Path(os.environ.get("PEER_VENVS", ROOT / ".venv-peers"))


def named(names: str) -> list[Contestant]:
    """Contestants by name, comma-separated; "all" for all.

    Raises:
        ValueError: nobody has such a name.
    """
    known = {contestant.name: contestant for contestant in CONTESTANTS}
    if names == "all":
        return list(CONTESTANTS)
    asked = [name for name in names.split(",") if name]
    strangers = [name for name in asked if name not in known]
    if strangers:
        raise ValueError(f"{', '.join(strangers)} does not take part; {', '.join(known)} do")
    return [contestant for contestant in CONTESTANTS if contestant.name in asked]


def run(contestant: Contestant, instance: Instance, limits: Limits) -> Answer:
    """One run; where there is no plan, `Answer.note` says why."""
    if not contestant.python.exists():
        return Answer(note="not installed: make bench-peers")
    options = {
        **contestant.options,
        "gap": limits.gap,
        "time_limit_s": limits.time_s,
        "memory_mb": limits.memory_mb,
    }
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "instance.npz"), Path(folder, "answer.npz")
        instance.save(source)
        command = [str(contestant.python), str(HERE / contestant.script), str(source), str(target)]
        failure = _wait_for([*command, json.dumps(options)], limits.time_s)
        if failure:
            return Answer(note=failure)
        return Answer.load(target)


@dataclass(frozen=True)
class Limits:
    """What a run may take, and how exact it must be.

    Attributes:
        time_s: for building, solving and reading back.
        memory_mb: of data in memory.
        gap: relative gap asked of every solver that has one.
    """

    time_s: float = 120.0
    memory_mb: float = 8192.0
    gap: float = 1e-4


def _wait_for(command: list[str], time_s: float) -> str:
    """Run a command; an empty string, or why it failed. Its whole process group ends with it."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
    process = subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        _, errors = process.communicate(timeout=time_s + START_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return f"did not finish in {time_s:g} s"
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    if process.returncode == 0:
        return ""
    if process.returncode == -signal.SIGALRM:
        return f"did not finish in {time_s:g} s"
    lines = [line for line in errors.splitlines() if line.strip()]
    return f"failed: {lines[-1] if lines else f'exit code {process.returncode}'}"
