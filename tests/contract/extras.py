"""Install each extra alone in an empty environment and use what it is for (`make extras`; slow).

The ordinary tests only hide what an extra would not bring. This asks pip itself.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]

ONE_BATTERY = """
import datetime as dt
from twins import BatterySpec, Fleet, TECHNOLOGIES, TimeGrid, replay
hours = TimeGrid.uniform("2023-01-16T00:00Z", dt.timedelta(hours=1), 2)
spec = BatterySpec("b", "s", next(iter(TECHNOLOGIES.values())), 10.0, 5.0, 5.0, 5.0)
lived = replay(Fleet.from_specs([spec]), hours, [[1.0, -1.0]])
assert lived["soc"].shape == (1, 3)
"""

# What each extra must be able to do without the others.
USES = {
    "": "from edge.limits import DeviceLimits; DeviceLimits(5, 5, 5, 0, 1, 10).faults(3)",
    "twins": ONE_BATTERY,
    "optimizer": "import gridsim; gridsim.DispatchProblem, gridsim.Plan, gridsim.Certificate",
    "dispatch": ONE_BATTERY + "import gridsim; gridsim.Gate, gridsim.Verdict",
    "grid": "import gridsim; assert len(gridsim.Grid.from_pandapower('case33bw').buses) == 33",
    "gridsim": "import gridsim; [getattr(gridsim, name) for name in gridsim.__all__]",
    "notebooks": "import jupyterlab, gridsim; [getattr(gridsim, name) for name in gridsim.__all__]",
    "all": "import jupyterlab, gridsim; [getattr(gridsim, name) for name in gridsim.__all__]",
}

# What the bare installation may hold beside pip: the two it names, and what cryptography needs.
BARE = {"gridsim", "paho-mqtt", "cryptography", "cffi", "pycparser", "typing-extensions", "pip"}
BARE |= {"setuptools", "wheel"}  # what older Pythons put into every environment


def main() -> int:
    """Try the extras named on the command line, or all of them; the exit code counts failures."""
    wanted = sys.argv[1:] or list(USES)
    with tempfile.TemporaryDirectory(prefix="gridsim-extras-") as folder:
        wheel = build_wheel(Path(folder))
        failed = [extra for extra in wanted if not works(wheel, extra, Path(folder))]
    print(f"{len(wanted) - len(failed)} passed, {len(failed)} failed")
    return len(failed)


def build_wheel(folder: Path) -> Path:
    """The project's wheel in `folder`."""
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    subprocess.run([*command, str(ROOT)], check=True, stdout=subprocess.DEVNULL)
    (wheel,) = folder.glob("*.whl")
    return wheel


def works(wheel: Path, extra: str, folder: Path) -> bool:
    """Install ``gridsim[extra]`` into an environment of its own and use it."""
    started = time.monotonic()
    home = folder / (extra or "bare")
    venv.create(home, with_pip=True)
    python = home / "bin" / "python"
    target = f"gridsim[{extra}] @ {wheel.as_uri()}" if extra else str(wheel)
    steps = [
        [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", target],
        [python, "-m", "pip", "check"],
        [python, "-I", "-c", USES[extra]],
    ]
    ok = all(subprocess.run(step, check=False, cwd=folder).returncode == 0 for step in steps)
    ok = ok and (bool(extra) or installed(python) <= BARE)
    print(f"{extra or 'bare'}: {'ok' if ok else 'FAILED'}, {time.monotonic() - started:.0f} s")
    return ok


def installed(python: Path) -> set[str]:
    """Names of the distributions in an environment."""
    command = [python, "-m", "pip", "list", "--format", "freeze", "--disable-pip-version-check"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return {canonicalize_name(line.partition("==")[0]) for line in listed.splitlines()}


if __name__ == "__main__":
    sys.exit(main())
