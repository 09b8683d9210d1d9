"""A finished run: the figures a reader wants, and every array behind them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import xarray as xr

    from optimizer.plan import Plan

RUN_SCHEMA_VERSION = 1


@dataclass(frozen=True, eq=False)
class Run:
    """What one scenario came to over one horizon.

    Attributes:
        name: the scenario's name.
        summary: the documented figures (`docs/run.md`), plain JSON; the same content as
            ``gridsim run --json`` prints.
        data: every array, one Dataset; names and units are listed in `docs/run.md`.
        plan: what was decided, with its problem and its certificate.
        scenario_text: the scenario with every default filled in, as YAML; files are relative to
            the scenario's folder.
    """

    name: str
    summary: Mapping[str, Any]
    data: xr.Dataset = field(repr=False)
    plan: Plan = field(repr=False)
    scenario_text: str = field(repr=False, default="")

    def __repr__(self) -> str:
        saving = self.summary["saving_percent"]["no_battery"]
        start, verdict = self.summary["start"], self.summary["verdict"]
        return f"Run({self.name!r}, {start}, {verdict}, saves {saving:.1f} %)"

    @property
    def passed(self) -> bool:
        """Whether the gate let the plan through."""
        return bool(self.summary["verdict"] == "pass")

    def save(self, path: str | Path) -> Path:
        """Write the run to one NetCDF file; `gridsim.load_run` reads it again."""
        from gridsim.run.storage import save_run  # h5netcdf is only needed here

        return save_run(self, path)

    def plot(self) -> Any:
        """One figure: price with fleet power, state of charge, voltage band and loading."""
        from gridsim.report import overview  # matplotlib is only needed here

        return overview(self)

    def report(self, path: str | Path) -> Path:
        """Write the self-contained HTML report."""
        from gridsim.report import write_report  # matplotlib is only needed here

        return write_report(self, path)
