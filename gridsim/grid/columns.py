"""Reading pandapower's element tables into ours: labels, limits, units."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from gridsim.grid.tables import BusTable, GeneratorTable, LineTable, LoadTable, TransformerTable
from gridsim.grid.units import fraction_from_percent, kw_from_mw

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    Floats = npt.NDArray[np.float64]
    Labels = npt.NDArray[np.str_]

V_PU_MIN_DEFAULT = 0.9
V_PU_MAX_DEFAULT = 1.1
LOADING_MAX_DEFAULT = 1.0


def read_buses(net: Any, energised: npt.NDArray[np.bool_]) -> BusTable:
    """All buses of `net`, in its order; the defaults stand in for missing limits."""
    x, y = _coordinates(net)
    return BusTable(
        label=_labels(net.bus, "bus"),
        vn_kv=net.bus.vn_kv.to_numpy(dtype=np.float64),
        v_pu_min=_column(net.bus, "min_vm_pu", V_PU_MIN_DEFAULT),
        v_pu_max=_column(net.bus, "max_vm_pu", V_PU_MAX_DEFAULT),
        x=x,
        y=y,
        energised=energised,
    )


def read_lines(net: Any, buses: BusTable) -> LineTable:
    """All lines of `net`, in its order."""
    bus = _bus_labels(net, buses)
    vn_kv = net.bus.vn_kv.loc[net.line.from_bus].to_numpy(dtype=np.float64)
    i_ka = (net.line.max_i_ka * net.line.df * net.line.parallel).to_numpy(dtype=np.float64)
    return LineTable(
        label=_labels(net.line, "line"),
        from_bus=bus(net.line.from_bus),
        to_bus=bus(net.line.to_bus),
        s_kva=kw_from_mw(np.sqrt(3.0) * vn_kv * i_ka),
        loading_max=_loading_max(net.line),
        in_service=net.line.in_service.to_numpy(dtype=bool),
    )


def read_transformers(net: Any, buses: BusTable) -> TransformerTable:
    """Two-winding transformers of `net`, then those with three windings."""
    bus = _bus_labels(net, buses)
    two, three = net.trafo, net.trafo3w
    s_mva = (two.sn_mva * two.parallel * two.df).to_numpy(dtype=np.float64)
    labels = np.concatenate([_labels(two, "transformer"), _labels(three, "transformer3w")])
    return TransformerTable(
        label=labels if np.unique(labels).size == labels.size else _numbered(labels.size),
        hv_bus=np.concatenate([bus(two.hv_bus), bus(three.hv_bus)]),
        lv_bus=np.concatenate([bus(two.lv_bus), bus(three.lv_bus)]),
        s_kva=kw_from_mw(np.concatenate([s_mva, three.sn_hv_mva.to_numpy(dtype=np.float64)])),
        loading_max=np.concatenate([_loading_max(two), _loading_max(three)]),
        in_service=np.concatenate([t.in_service.to_numpy(dtype=bool) for t in (two, three)]),
    )


def read_loads(net: Any, buses: BusTable) -> LoadTable:
    """All loads of `net`; nominal power with its scaling, zero where out of service."""
    scaling = net.load.scaling.to_numpy(dtype=np.float64) * net.load.in_service.to_numpy(dtype=bool)
    return LoadTable(
        label=_labels(net.load, "load"),
        bus=_bus_labels(net, buses)(net.load.bus),
        p_kw=kw_from_mw(net.load.p_mw) * scaling,
        q_kvar=kw_from_mw(net.load.q_mvar) * scaling,
        profile=_text(net.load, "profile"),
    )


def read_generators(net: Any, buses: BusTable) -> GeneratorTable:
    """All static generators of `net`; nominal power with its scaling, zero out of service."""
    scaling = net.sgen.scaling.to_numpy(dtype=np.float64) * net.sgen.in_service.to_numpy(dtype=bool)
    return GeneratorTable(
        label=_labels(net.sgen, "generator"),
        bus=_bus_labels(net, buses)(net.sgen.bus),
        p_kw=kw_from_mw(net.sgen.p_mw) * scaling,
        q_kvar=kw_from_mw(net.sgen.q_mvar) * scaling,
        kind=_text(net.sgen, "type"),
        profile=_text(net.sgen, "profile"),
    )


def _labels(frame: pd.DataFrame, kind: str) -> Labels:
    """Names where they can serve as labels, else the kind and pandapower's index."""
    names = _text(frame, "name")
    if names.size and (names != "").all() and np.unique(names).size == names.size:
        return names
    return np.array([f"{kind} {index}" for index in frame.index], dtype=np.str_)


def _numbered(count: int) -> Labels:
    return np.array([f"transformer {at}" for at in range(count)], dtype=np.str_)


def _bus_labels(net: Any, buses: BusTable) -> Any:
    position = {index: at for at, index in enumerate(net.bus.index)}
    return lambda column: buses.label[[position[index] for index in column]]


def _text(frame: pd.DataFrame, column: str) -> Labels:
    if column not in frame:
        return np.full(len(frame), "", dtype=np.str_)
    values = frame[column]
    texts = ["" if missing else str(v) for v, missing in zip(values, values.isna(), strict=True)]
    return np.array(texts, dtype=np.str_)


def _column(frame: pd.DataFrame, column: str, default: float) -> Floats:
    if column not in frame:
        return np.full(len(frame), default)
    values = frame[column].to_numpy(dtype=np.float64)
    return np.where(np.isfinite(values), values, default)


def _loading_max(frame: pd.DataFrame) -> Floats:
    return fraction_from_percent(_column(frame, "max_loading_percent", 100 * LOADING_MAX_DEFAULT))


def _coordinates(net: Any) -> tuple[Floats, Floats]:
    """Bus coordinates from pandapower's GeoJSON points, NaN where there are none."""
    xy = np.full((2, len(net.bus)), np.nan)
    if "geo" in net.bus:
        for at, text in enumerate(net.bus.geo):
            if isinstance(text, str) and text.startswith("{"):
                xy[:, at] = json.loads(text)["coordinates"][:2]
    return xy[0], xy[1]
