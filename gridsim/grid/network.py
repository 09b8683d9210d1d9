"""`Grid`: a distribution grid as it was built, with labels, limits and its electrical model."""

from __future__ import annotations

import copy
import hashlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from gridsim.grid import columns, limits, sources
from gridsim.grid.errors import grid_fault
from gridsim.grid.model import GridModel, build_model

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy.typing as npt
    import pandas as pd

    from gridsim.grid.limits import Limit
    from gridsim.grid.tables import (
        BusTable,
        GeneratorTable,
        LineTable,
        LoadTable,
        TransformerTable,
    )

StorageTreatment = Literal["drop", "as_generation"]
_NOT_ELECTRICAL = {"geo", "coords", "zone", "substation", "subnet", "std_type", "profile"}
# fmt: off
_ELEMENTS = (
    "bus", "line", "trafo", "trafo3w", "load", "sgen", "gen", "ext_grid", "switch", "shunt",
    "ward", "xward", "impedance", "storage", "motor", "asymmetric_load", "asymmetric_sgen",
    "dcline", "svc", "tcsc", "ssc", "vsc", "bus_dc", "line_dc",
)
# fmt: on


@dataclass(frozen=True, eq=False)
class Grid:
    """A grid whose base case converges. Build one with `from_simbench`, `from_json` or
    `from_pandapower`; it does not change afterwards.

    Attributes:
        source: where it came from, for messages and reports.
        buses, lines, transformers, loads, generators: the elements, as labelled columns.
        model: admittances and look-ups, for the modules of this package.
        profile_tables: SimBench's year-long profiles by kind, empty for other grids.
    """

    source: str
    buses: BusTable
    lines: LineTable
    transformers: TransformerTable
    loads: LoadTable
    generators: GeneratorTable
    model: GridModel = field(repr=False)
    profile_tables: Mapping[str, pd.DataFrame] = field(repr=False)
    _net: Any = field(repr=False)

    @classmethod
    def from_simbench(cls, code: str, *, simbench_storages: StorageTreatment = "drop") -> Grid:
        """The grid of a SimBench code, e.g. ``1-LV-urban6--2-no_sw``.

        Args:
            code: one of SimBench's 246 codes.
            simbench_storages: SimBench's storages are the net feed-in of plants of PV and battery.
                ``"drop"`` leaves them out, and their PV with them; ``"as_generation"`` keeps them
                as static generators with SimBench's storage profiles.

        Raises:
            GridError: unknown code or option, or a base case that does not converge.
        """
        if simbench_storages not in ("drop", "as_generation"):
            allowed = "must be 'drop' or 'as_generation'"
            raise grid_fault(f"grid {code!r}", "simbench_storages", str(simbench_storages), allowed)
        net = sources.load_simbench(code)
        if simbench_storages == "as_generation":
            sources.storages_as_generation(net)
        return cls._build(net, f"SimBench {code}")

    @classmethod
    def from_json(cls, path: str | Path) -> Grid:
        """The grid in a file written by ``pandapower.to_json``; its own storages are left out.

        Raises:
            GridError: missing or foreign file, or a base case that does not converge.
        """
        return cls._build(sources.load_json(path), f"pandapower file {path}")

    @classmethod
    def from_pandapower(cls, name: str, **kwargs: Any) -> Grid:
        """The grid that a function of ``pandapower.networks`` builds, e.g. ``case33bw``; its own
        storages are left out.

        Raises:
            GridError: unknown name, unsuitable arguments, or a base case that does not converge.
        """
        return cls._build(sources.load_named(name, kwargs), f"pandapower.networks.{name}")

    @classmethod
    def _build(cls, net: Any, source: str) -> Grid:
        sources.drop_storages(net)
        profile_tables = net.pop("profiles", {})
        model = build_model(net, source)
        buses = columns.read_buses(net, model.node_of_bus >= 0)
        return cls(
            source=source,
            buses=buses,
            lines=columns.read_lines(net, buses),
            transformers=columns.read_transformers(net, buses),
            loads=columns.read_loads(net, buses),
            generators=columns.read_generators(net, buses),
            model=model,
            profile_tables=profile_tables if isinstance(profile_tables, dict) else {},
            _net=net,
        )

    def with_limits(
        self,
        *,
        v_pu_min: Limit | None = None,
        v_pu_max: Limit | None = None,
        loading_max: Limit | None = None,
    ) -> Grid:
        """The same grid with other limits than its file's own.

        Args:
            v_pu_min, v_pu_max: one value for all buses, or values by nominal voltage in kV.
            loading_max: one fraction for all lines and transformers, or fractions by nominal
                voltage in kV; a transformer goes by its high-voltage side.

        Raises:
            GridError: a value out of range, crossed limits, or a voltage the grid does not have.
        """
        buses, lines, transformers = limits.override(
            self.buses, self.lines, self.transformers, v_pu_min, v_pu_max, loading_max
        )
        return replace(self, buses=buses, lines=lines, transformers=transformers)

    def digest(self) -> str:
        """SHA-256 of the electrical content and the limits, as 64 hexadecimal digits."""
        sha = hashlib.sha256()
        for kind in _ELEMENTS:
            frame = self._net.get(kind)
            if frame is not None and len(frame):
                _hash_frame(sha, kind, frame)
        sha.update(np.array([self._net.sn_mva, self._net.f_hz], dtype="<f8").tobytes())
        for column in (
            self.buses.v_pu_min,
            self.buses.v_pu_max,
            self.lines.loading_max,
            self.transformers.loading_max,
        ):
            sha.update(column.astype("<f8").tobytes())
        return sha.hexdigest()

    @property
    def bus_index(self) -> npt.NDArray[np.int64]:
        """pandapower's index of each bus, shape (bus,)."""
        return np.asarray(self._net.bus.index.to_numpy(), dtype=np.int64)

    def net_copy(self) -> Any:
        """A copy of the pandapower net, to do with as you like."""
        return copy.deepcopy(self._net)


def _hash_frame(sha: Any, kind: str, frame: pd.DataFrame) -> None:
    sha.update(f"{kind}:{len(frame)}".encode())
    sha.update(frame.index.to_numpy(dtype="<i8").tobytes())
    for name in sorted(set(map(str, frame.columns)) - _NOT_ELECTRICAL):
        column = frame[name]
        sha.update(name.encode())
        if column.dtype.kind in "fiub":
            sha.update(column.to_numpy(dtype="<f8").tobytes())
        else:
            sha.update("\x1f".join("" if v is None else str(v) for v in column).encode())
