"""A grid's elements as columns of read-only arrays with stable labels."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from gridsim.grid.errors import GridError
from twins.faults import FaultList, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Labels = npt.NDArray[np.str_]
    Positions = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False, repr=False)
class ElementTable:
    """Columns of equal length; `label` names each row.

    Attributes:
        label: unique text, the element's name where names are unique and never empty, else
            ``"<kind> <index>"``.
    """

    label: Labels

    def __post_init__(self) -> None:
        for field in fields(self):
            column = np.array(getattr(self, field.name))
            if column.shape != (self.label.size,):
                raise ValueError(f"column {field.name} has shape {column.shape}")
            column.setflags(write=False)
            object.__setattr__(self, field.name, column)

    def __len__(self) -> int:
        return int(self.label.size)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)} rows)"

    @cached_property
    def _position(self) -> dict[str, int]:
        return {str(label): at for at, label in enumerate(self.label)}

    def positions(self, labels: Iterable[str], where: str = "label") -> Positions:
        """The rows of `labels`, shape (len(labels),).

        Raises:
            GridError: labels that this table does not know, each with the closest known one.
        """
        labels = list(labels)
        found = [self._position.get(str(label), -1) for label in labels]
        if -1 in found:
            faults = FaultList(f"{type(self).__name__} of {len(self)} rows")
            for at, (label, position) in enumerate(zip(labels, found, strict=True)):
                if position < 0:
                    hint = did_you_mean(str(label), self._position) if len(faults) < 50 else ""
                    faults.add(f"{where}[{at}]", str(label), "is not in the grid", hint)
            faults.raise_if_any(GridError)
        return np.array(found, dtype=np.int64)


@dataclass(frozen=True, eq=False, repr=False)
class BusTable(ElementTable):
    """Buses.

    Attributes:
        vn_kv: nominal line-to-line voltage. [kV]
        v_pu_min, v_pu_max: voltage limits. [per unit of vn_kv]
        x, y: coordinates as the grid file has them (degrees east and north in SimBench), NaN
            where there are none.
        energised: whether the bus is in service and connected to the upstream grid.
    """

    vn_kv: Floats
    v_pu_min: Floats
    v_pu_max: Floats
    x: Floats
    y: Floats
    energised: npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False, repr=False)
class LineTable(ElementTable):
    """Lines and cables.

    Attributes:
        from_bus, to_bus: bus labels.
        s_kva: rating at nominal voltage, all parallel systems together. [kVA]
        loading_max: limit of the loading, as a fraction.
        in_service: whether the line is switched on.
    """

    from_bus: Labels
    to_bus: Labels
    s_kva: Floats
    loading_max: Floats
    in_service: npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False, repr=False)
class TransformerTable(ElementTable):
    """Transformers; one with three windings is one row with its medium-voltage side left out.

    Attributes:
        hv_bus, lv_bus: bus labels.
        s_kva: rating, all parallel units together. [kVA]
        loading_max: limit of the loading, as a fraction.
        in_service: whether the transformer is switched on.
    """

    hv_bus: Labels
    lv_bus: Labels
    s_kva: Floats
    loading_max: Floats
    in_service: npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False, repr=False)
class LoadTable(ElementTable):
    """Loads.

    Attributes:
        bus: bus label.
        p_kw, q_kvar: nominal power, positive taken from the grid. [kW, kvar]
        profile: name of the year-long profile, "" where there is none.
    """

    bus: Labels
    p_kw: Floats
    q_kvar: Floats
    profile: Labels


@dataclass(frozen=True, eq=False, repr=False)
class GeneratorTable(ElementTable):
    """Static generators: what feeds in and is not a battery of ours.

    Attributes:
        bus: bus label.
        p_kw, q_kvar: nominal power, positive fed into the grid. [kW, kvar]
        kind: what the grid file calls it, e.g. ``PV``.
        profile: name of the year-long profile, "" where there is none.
    """

    bus: Labels
    p_kw: Floats
    q_kvar: Floats
    kind: Labels
    profile: Labels
