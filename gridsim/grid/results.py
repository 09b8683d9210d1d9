"""From node voltages to what a user asks for: loading, losses, exchange, all intervals at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from gridsim.grid.units import kw_from_mw

if TYPE_CHECKING:
    import numpy.typing as npt

    from gridsim.grid.model import GridModel, Monitor
    from gridsim.grid.network import Grid

    Floats = npt.NDArray[np.float64]
    Complexes = npt.NDArray[np.complex128]

_ATTRS = {
    "v_pu": {"units": "1", "long_name": "bus voltage magnitude, per unit of nominal"},
    "line_loading": {"units": "1", "long_name": "line loading, fraction of rated current"},
    "line_p_kw": {
        "units": "kW",
        "long_name": "active power into the line at its from bus",
        "sign": "positive leaves the from bus",
    },
    "transformer_loading": {"units": "1", "long_name": "transformer loading, fraction of rating"},
    "transformer_p_kw": {
        "units": "kW",
        "long_name": "active power into the transformer at its high-voltage side",
        "sign": "positive flows downwards",
    },
    "losses_kw": {"units": "kW", "long_name": "active losses of all lines and transformers"},
    "p_exchange_kw": {
        "units": "kW",
        "long_name": "active power from the upstream grid",
        "sign": "positive imports",
    },
    "q_exchange_kvar": {
        "units": "kvar",
        "long_name": "reactive power from the upstream grid",
        "sign": "positive imports",
    },
    "converged": {"long_name": "whether the power flow of the interval converged"},
}


def extract(
    grid: Grid,
    time: npt.NDArray[np.datetime64],
    voltages: Complexes,
    s_pu: Complexes,
    converged: npt.NDArray[np.bool_],
) -> xr.Dataset:
    """The flow's dataset; see `PowerFlow.flow`.

    Args:
        grid: the grid.
        time: labels of the intervals.
        voltages: node voltages, shape (node, time); NaN where not converged.
        s_pu: injections that were asked for, shape (node, time).
        converged: which intervals were solved.
    """
    model = grid.model
    i_from, i_to = model.y_from @ voltages, model.y_to @ voltages
    s_from = voltages[model.from_node] * i_from.conj()
    s_to = voltages[model.to_node] * i_to.conj()
    kw = float(kw_from_mw(model.base_mva))
    exchange = kw * _exchange(model, voltages, s_pu)
    currents, power = _stack(np.abs(i_from), np.abs(i_to)), _stack(s_from.real, s_to.real)
    variables = {
        "v_pu": (("bus", "time"), _bus_voltage(model, voltages)),
        "line_loading": (("line", "time"), _loading(model.lines, currents)),
        "line_p_kw": (("line", "time"), kw * power[model.lines.power_row]),
        "transformer_loading": (("transformer", "time"), _loading(model.transformers, currents)),
        "transformer_p_kw": (("transformer", "time"), kw * power[model.transformers.power_row]),
        "losses_kw": ("time", kw * (s_from + s_to).real.sum(axis=0)),
        "p_exchange_kw": ("time", exchange.real),
        "q_exchange_kvar": ("time", exchange.imag),
        "converged": ("time", converged),
    }
    flow = xr.Dataset(
        {name: (dims, values, _ATTRS[name]) for name, (dims, values) in variables.items()},
        coords={
            "bus": grid.buses.label,
            "line": grid.lines.label,
            "transformer": grid.transformers.label,
            "time": time,
        },
        attrs={"phases": "balanced", "grid": grid.source},
    )
    return _blank(flow, converged)


def _blank(flow: xr.Dataset, converged: npt.NDArray[np.bool_]) -> xr.Dataset:
    """NaN in every interval that was not solved, also where a sum over nothing gave zero."""
    if not converged.all():
        for variable in flow.data_vars.values():
            if variable.dtype.kind == "f":
                variable.to_numpy()[..., ~converged] = np.nan
    return flow


def _bus_voltage(model: GridModel, voltages: Complexes) -> Floats:
    v_pu = np.abs(voltages)[model.node_of_bus]
    v_pu[model.node_of_bus < 0] = np.nan
    return v_pu


def _exchange(model: GridModel, voltages: Complexes, s_pu: Complexes) -> Complexes:
    """What the reference nodes must feed in beyond the injections that sit there."""
    rows = model.y_bus[model.ref]
    fed = voltages[model.ref] * (rows @ voltages).conj() - s_pu[model.ref]
    return np.asarray(fed.sum(axis=0))


def _stack(at_from: Floats, at_to: Floats) -> Floats:
    """From ends, to ends, and a row of zeros for what is switched off."""
    return np.concatenate([at_from, at_to, np.zeros((1, at_from.shape[1]))])


def _loading(monitor: Monitor, currents: Floats) -> Floats:
    loading = np.zeros((monitor.rows.shape[0], currents.shape[1]))
    for rows, factors in zip(monitor.rows.T, monitor.factors.T, strict=True):
        np.maximum(loading, currents[rows] * factors[:, np.newaxis], out=loading)
    return loading
