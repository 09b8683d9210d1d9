"""Getting a pandapower net from where a user says it is, with every fault named.

Three sources: a SimBench code, a pandapower JSON file, the name of a function in
``pandapower.networks``. Storages that came with the net are taken out (the batteries are ours) or
turned into what they stand for; see `drop_storages` and `storages_as_generation`.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandapower as pp
import pandapower.networks as pp_networks
import pandas as pd
import simbench as sb

from gridsim.grid.errors import grid_fault, others_deprecations
from twins.faults import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

    Net = Any  # pandapower ships no usable types

JSON_BYTES_MAX = 500_000_000
"""A pandapower file of the largest SimBench grid has about 20 MB."""

STORAGE_PROFILE = "storage:"
"""Marks a static generator whose profile is in SimBench's table of storages."""


def load_simbench(code: str) -> Net:
    """The net of a SimBench code, its year-long profiles at ``net.profiles``.

    Raises:
        GridError: no such code, with the closest one.
    """
    codes = sb.collect_all_simbench_codes()
    if code not in codes:
        allowed = f"must be one of SimBench's {len(codes)} codes, such as '1-LV-urban6--2-no_sw'"
        raise grid_fault(
            f"grid {code!r}", "simbench", code, allowed, did_you_mean(str(code), codes)
        )
    with others_deprecations():
        return sb.get_simbench_net(code)


def load_json(path: str | Path) -> Net:
    """The net in a pandapower JSON file. Load only files you trust: the format names classes.

    Raises:
        GridError: the file is missing, too large, or no pandapower net.
    """
    path = Path(path)
    source = f"grid file {path}"
    if not path.is_file():
        raise grid_fault(source, "path", str(path), "no such file")
    if (size := path.stat().st_size) > JSON_BYTES_MAX:
        raise grid_fault(
            source, "size", f"{size} bytes", f"at most {JSON_BYTES_MAX} bytes are read"
        )
    allowed = "must be a net saved with pandapower.to_json"
    try:
        with others_deprecations():
            net = pp.from_json(str(path))
    except Exception as error:
        raise grid_fault(source, "content", str(error), allowed) from error
    if not isinstance(net, pp.pandapowerNet):
        raise grid_fault(source, "content", type(net).__name__, allowed)
    return net


def load_named(name: str, kwargs: Mapping[str, Any]) -> Net:
    """The net that the function `name` of ``pandapower.networks`` builds.

    Raises:
        GridError: no such function, with the closest one, or arguments it does not take.
    """
    source = f"grid pandapower.networks.{name}"
    known = network_functions()
    if name not in known:
        allowed = "must be a function of pandapower.networks, such as 'case33bw'"
        raise grid_fault(source, "name", name, allowed, did_you_mean(name, known))
    try:
        with others_deprecations():
            net = known[name](**kwargs)
    except (TypeError, ValueError, KeyError, UserWarning) as error:
        allowed = f"arguments must suit {name}{inspect.signature(known[name])}"
        raise grid_fault(source, "arguments", f"{dict(kwargs)}: {error}", allowed) from error
    if not isinstance(net, pp.pandapowerNet):
        raise grid_fault(source, "name", type(net).__name__, "the function must return one net")
    return net


def network_functions() -> dict[str, Any]:
    """The functions of ``pandapower.networks`` that build a net, by name."""
    return {
        name: function
        for name, function in inspect.getmembers(pp_networks, inspect.isfunction)
        if function.__module__.startswith("pandapower.networks") and not name.startswith("_")
    }


def drop_storages(net: Net) -> None:
    """Take out the storages that came with `net`."""
    net.storage = net.storage.iloc[:0]


def storages_as_generation(net: Net) -> None:
    """Turn SimBench's storages into static generators that feed in.

    SimBench's storages are plants of PV and battery seen from outside: their power is the negative
    rating, they never charge, and their profiles are never negative.
    """
    old = net.storage
    start = int(net.sgen.index.max()) + 1 if len(net.sgen) else 0
    new = pd.DataFrame(
        {
            "name": old["name"].to_numpy(),
            "bus": old["bus"].to_numpy(),
            "p_mw": -old["p_mw"].to_numpy(),
            "q_mvar": -old["q_mvar"].to_numpy(),
            "scaling": old["scaling"].to_numpy(),
            "in_service": old["in_service"].to_numpy(dtype=bool),
            "type": old["type"].to_numpy(),
            # The same name stands for another series among the renewables.
            "profile": STORAGE_PROFILE + old["profile"].astype(str).to_numpy(),
        },
        index=np.arange(start, start + len(old)),
    )
    if len(new):
        net.sgen = pd.concat([net.sgen, new]).astype(net.sgen.dtypes.to_dict())
    drop_storages(net)
