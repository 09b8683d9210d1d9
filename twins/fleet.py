"""A fleet of batteries: specifications one by one, columns for all at once."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from edge.limits import DeviceLimits
from twins.faults import FAULTS_SHOWN_MAX, FaultList, InvalidInputError, did_you_mean
from twins.technology import Technology

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

_ATTRS = {
    "energy_kwh_max": ("kWh", "energy in the full store when new"),
    "p_charge_kw_max": ("kW", "largest charging power at the terminals"),
    "p_discharge_kw_max": ("kW", "largest discharging power at the terminals"),
    "s_kva_max": ("kVA", "rating of the converter"),
    "soc_min": ("1", "lowest state of charge"),
    "soc_max": ("1", "highest state of charge"),
    "soc_initial": ("1", "state of charge at the first instant"),
    "wear_cost_charge_per_kwh": ("1/kWh", "wear of one kWh charged, in the scenario's currency"),
    "wear_cost_discharge_per_kwh": ("1/kWh", "wear of one kWh discharged"),
    "capacity_fraction": ("1", "present capacity as a fraction of energy_kwh_max"),
}
NUMBER_COLUMNS = tuple(_ATTRS)


class FleetError(InvalidInputError):
    """Batteries that were refused; `faults` names every reason."""


@dataclass(frozen=True)
class BatterySpec:
    """One battery.

    Attributes:
        battery_id: its stable name, unique in the fleet.
        site_id: the site (meter) that it stands behind.
        technology: its kind.
        energy_kwh_max: energy in the full store when new, kWh, above 0.
        p_charge_kw_max, p_discharge_kw_max: limits at the terminals, kW, not negative.
        s_kva_max: converter rating, kVA; at least the larger of the two powers.
        soc_min, soc_max: the band to stay in, fractions.
        soc_initial: at the first instant; may lie outside the band, but not outside 0 to 1.
        wear_cost_charge_per_kwh, wear_cost_discharge_per_kwh: at the terminals, not negative.
        capacity_fraction: present capacity as a fraction of `energy_kwh_max` (state of health).

    Raises:
        FleetError: on construction, with every fault.
    """

    battery_id: str
    site_id: str
    technology: Technology
    energy_kwh_max: float
    p_charge_kw_max: float
    p_discharge_kw_max: float
    s_kva_max: float
    soc_min: float = 0.0
    soc_max: float = 1.0
    soc_initial: float = 0.5
    wear_cost_charge_per_kwh: float = 0.0
    wear_cost_discharge_per_kwh: float = 0.0
    capacity_fraction: float = 1.0

    def __post_init__(self) -> None:
        Fleet.from_specs([self])


@dataclass(frozen=True, eq=False)
class Fleet:
    """Batteries as columns, all of shape (N,), in a fixed order.

    The columns are `BatterySpec`'s attributes; `technology_index` points into `technologies`.
    Arrays are read-only. Use `from_specs` or `from_columns`; both check everything.
    """

    battery_id: npt.NDArray[np.str_]
    site_id: npt.NDArray[np.str_]
    technologies: tuple[Technology, ...]
    technology_index: npt.NDArray[np.int64]
    energy_kwh_max: Floats
    p_charge_kw_max: Floats
    p_discharge_kw_max: Floats
    s_kva_max: Floats
    soc_min: Floats
    soc_max: Floats
    soc_initial: Floats
    wear_cost_charge_per_kwh: Floats
    wear_cost_discharge_per_kwh: Floats
    capacity_fraction: Floats

    def __post_init__(self) -> None:
        _check(self)
        for one in fields(self):
            if one.name != "technologies":
                getattr(self, one.name).setflags(write=False)

    @classmethod
    def from_specs(cls, specs: Sequence[BatterySpec]) -> Fleet:
        """A fleet of these batteries, in this order.

        Raises:
            FleetError: with every fault of the batteries together.
        """
        index: dict[Technology, int] = {}
        for spec in specs:
            index.setdefault(spec.technology, len(index))
        columns: dict[str, Any] = {n: [getattr(s, n) for s in specs] for n in NUMBER_COLUMNS}
        return cls.from_columns(
            battery_id=[spec.battery_id for spec in specs],
            site_id=[spec.site_id for spec in specs],
            technologies=tuple(index),
            technology_index=[index[spec.technology] for spec in specs],
            **columns,
        )

    @classmethod
    def from_columns(
        cls,
        *,
        battery_id: npt.ArrayLike,
        site_id: npt.ArrayLike,
        technologies: Sequence[Technology] | Technology,
        energy_kwh_max: npt.ArrayLike,
        p_charge_kw_max: npt.ArrayLike,
        p_discharge_kw_max: npt.ArrayLike,
        s_kva_max: npt.ArrayLike | None = None,
        technology_index: npt.ArrayLike = 0,
        soc_min: npt.ArrayLike = 0.0,
        soc_max: npt.ArrayLike = 1.0,
        soc_initial: npt.ArrayLike = 0.5,
        wear_cost_charge_per_kwh: npt.ArrayLike = 0.0,
        wear_cost_discharge_per_kwh: npt.ArrayLike = 0.0,
        capacity_fraction: npt.ArrayLike = 1.0,
    ) -> Fleet:
        """A fleet from columns, fast for a million batteries; a scalar holds for all.

        Args:
            s_kva_max: without it, the larger of the two powers.
            technologies: one for all, or those that `technology_index` points into.

        Raises:
            FleetError: with every fault.
        """
        if s_kva_max is None:
            s_kva_max = np.maximum(np.asarray(p_charge_kw_max), np.asarray(p_discharge_kw_max))
        given = {
            "battery_id": battery_id,
            "site_id": site_id,
            "technology_index": technology_index,
            "energy_kwh_max": energy_kwh_max,
            "p_charge_kw_max": p_charge_kw_max,
            "p_discharge_kw_max": p_discharge_kw_max,
            "s_kva_max": s_kva_max,
            "soc_min": soc_min,
            "soc_max": soc_max,
            "soc_initial": soc_initial,
            "wear_cost_charge_per_kwh": wear_cost_charge_per_kwh,
            "wear_cost_discharge_per_kwh": wear_cost_discharge_per_kwh,
            "capacity_fraction": capacity_fraction,
        }
        if isinstance(technologies, Technology):
            technologies = (technologies,)
        columns = _columns(given, np.size(np.asarray(battery_id)))
        return cls(technologies=tuple(technologies), **columns)

    def __len__(self) -> int:
        """The number of batteries."""
        return int(self.battery_id.size)

    def __repr__(self) -> str:
        names = ", ".join(technology.name for technology in self.technologies)
        return f"Fleet({len(self)} batteries: {names})"

    @property
    def capacity_kwh(self) -> Floats:
        """Present capacity, kWh, shape (N,): ``energy_kwh_max · capacity_fraction``."""
        return np.asarray(self.energy_kwh_max * self.capacity_fraction)

    @property
    def p_kw_rated(self) -> Floats:
        """The converter's rated power, kW, shape (N,): the larger of the two power limits."""
        return np.asarray(np.maximum(self.p_charge_kw_max, self.p_discharge_kw_max))

    def planning_efficiency(self, share: float) -> tuple[Floats, Floats]:
        """`Technology.planning_efficiency` at `share` of rated power, as two columns (N,)."""
        pairs = np.array([t.planning_efficiency(share) for t in self.technologies])
        return pairs[self.technology_index, 0], pairs[self.technology_index, 1]

    @property
    def standing_loss_per_h(self) -> Floats:
        """Fraction of the stored energy lost in an hour, shape (N,)."""
        return self.technology_column("standing_loss_per_h")

    def technology_column(self, name: str) -> Floats:
        """One of `Technology`'s numbers as a column (N,)."""
        values = np.array([getattr(t, name) for t in self.technologies], dtype=np.float64)
        return np.asarray(values[self.technology_index])

    def positions(self, battery_ids: Iterable[str]) -> npt.NDArray[np.int64]:
        """The row of each named battery.

        Raises:
            FleetError: naming each battery that is not in the fleet.
        """
        wanted = [str(battery_id) for battery_id in battery_ids]
        rows = self._row_by_id
        faults = FaultList("fleet")
        for name in wanted:
            if name not in rows:
                faults.add(f"battery {name!r}", None, "is not in the fleet", _near(name, rows))
        faults.raise_if_any(FleetError)
        return np.array([rows[name] for name in wanted], dtype=np.int64)

    def select(self, battery_ids: Iterable[str]) -> Fleet:
        """The named batteries, in the order asked for. Raises `FleetError` for unknown names."""
        rows = self.positions(battery_ids)
        names = [one.name for one in fields(self) if one.name != "technologies"]
        columns = {name: np.array(getattr(self, name)[rows]) for name in names}
        return Fleet(technologies=self.technologies, **columns)

    def with_soc_initial(self, soc_initial: npt.ArrayLike) -> Fleet:
        """The same fleet with another state of charge, shape (N,) or one for all.

        So a replay goes on where another ended: ``fleet.with_soc_initial(lived.soc[:, -1])``.
        """
        return replace(self, **_columns({"soc_initial": soc_initial}, len(self)))

    def device_limits(self, battery_id: str) -> DeviceLimits:
        """What the device of `battery_id` may ever be asked to do, at its present capacity."""
        row = int(self.positions([battery_id])[0])
        names = [one.name for one in fields(DeviceLimits) if one.name != "energy_kwh_max"]
        limits = {name: float(getattr(self, name)[row]) for name in names}
        return DeviceLimits(energy_kwh_max=float(self.capacity_kwh[row]), **limits)

    def digest(self) -> str:
        """SHA-256 over every column and technology, in hex; the same in every process."""
        sha = hashlib.sha256(b"gridsim fleet 1\n")
        for name in ("battery_id", "site_id"):
            encoded = np.char.encode(getattr(self, name), "utf-8")
            sha.update(f"{name} {encoded.dtype.itemsize}\n".encode())
            sha.update(np.ascontiguousarray(encoded).tobytes())
        sha.update(self.technology_index.astype("<i8").tobytes())
        for name in NUMBER_COLUMNS:
            sha.update(f"{name}\n".encode())
            # Adding zero makes −0.0 and 0.0, which are equal, digest alike.
            sha.update((getattr(self, name) + 0.0).astype("<f8").tobytes())
        described = [_as_floats(asdict(technology)) for technology in self.technologies]
        sha.update(json.dumps(described, sort_keys=True, ensure_ascii=False).encode())
        return sha.hexdigest()

    def to_dataset(self) -> xr.Dataset:
        """The columns on dim ``battery``, with ``site_id`` and ``technology`` beside them."""
        names = np.array([technology.name for technology in self.technologies])
        variables: dict[str, Any] = {
            name: ("battery", getattr(self, name), {"units": units, "long_name": words})
            for name, (units, words) in _ATTRS.items()
        }
        variables["site_id"] = ("battery", self.site_id, {"long_name": "site of the battery"})
        technology = names[self.technology_index]
        variables["technology"] = ("battery", technology, {"long_name": "kind of battery"})
        return xr.Dataset(variables, coords={"battery": self.battery_id})

    @cached_property
    def _row_by_id(self) -> dict[str, int]:
        return {str(name): row for row, name in enumerate(self.battery_id.tolist())}


def _as_floats(value: Any) -> Any:
    """The same nest of mappings with every number a float: 0 and 0.0 are equal, so digest alike."""
    if isinstance(value, dict):
        return {key: _as_floats(one) for key, one in value.items()}
    return value if isinstance(value, str) else float(value) + 0.0


def _near(name: str, known: dict[str, int]) -> str:
    """A hint, where the fleet is small enough to search it."""
    return did_you_mean(name, known) if len(known) <= 10_000 else ""


def _columns(given: dict[str, Any], count: int) -> dict[str, Any]:
    """Each value as its own array of shape (count,), or every reason why not."""
    faults = FaultList("fleet")
    columns: dict[str, Any] = {}
    for name, value in given.items():
        kind: Any = {"battery_id": np.str_, "site_id": np.str_, "technology_index": np.int64}.get(
            name, np.float64
        )
        try:
            column = np.array(value, dtype=kind)
            columns[name] = np.array(np.broadcast_to(column, (count,)))
        except (TypeError, ValueError):
            faults.add(name, _brief(value), f"must be {count} values, or one for all")
    faults.raise_if_any(FleetError)
    return columns


def _brief(value: Any) -> str:
    return f"shape {np.shape(value)}" if np.ndim(value) else repr(value)


def _check(fleet: Fleet) -> None:
    """Raise every fault of a fleet's columns."""
    faults = FaultList("fleet")
    if len(fleet) == 0:
        faults.add("fleet", None, "must hold at least one battery")
    for at, technology in enumerate(fleet.technologies):
        if not isinstance(technology, Technology):
            faults.add(f"technologies[{at}]", technology, "must be a Technology")
    _check_names(fleet, faults)
    index = fleet.technology_index
    known = len(fleet.technologies)
    _note(
        fleet, faults, "technology_index", (index < 0) | (index >= known), f"must be below {known}"
    )
    for name in NUMBER_COLUMNS:
        finite = np.isfinite(getattr(fleet, name))
        _note(fleet, faults, name, ~finite, "must be a finite number")
    _check_ranges(fleet, faults)
    _check_between(fleet, faults)
    faults.raise_if_any(FleetError)


def _check_names(fleet: Fleet, faults: FaultList) -> None:
    ids = fleet.battery_id
    _note(fleet, faults, "battery_id", ids == "", "must not be empty")
    _note(fleet, faults, "site_id", fleet.site_id == "", "must not be empty")
    names, first, counts = np.unique(ids, return_index=True, return_counts=True)
    for at in np.flatnonzero(counts > 1)[:FAULTS_SHOWN_MAX]:
        times = int(counts[at])
        faults.add(f"batteries[{first[at]}].battery_id", str(names[at]), f"occurs {times} times")


def _check_ranges(fleet: Fleet, faults: FaultList) -> None:
    for name in ("energy_kwh_max", "capacity_fraction"):
        _note(fleet, faults, name, getattr(fleet, name) <= 0, "must be above 0")
    _note(fleet, faults, "capacity_fraction", fleet.capacity_fraction > 1.5, "must be at most 1.5")
    for name in NUMBER_COLUMNS[1:4] + NUMBER_COLUMNS[7:9]:
        _note(fleet, faults, name, getattr(fleet, name) < 0, "must not be negative")
    for name in NUMBER_COLUMNS[4:7]:
        column = getattr(fleet, name)
        _note(fleet, faults, name, (column < 0) | (column > 1), "must be a fraction from 0 to 1")


def _check_between(fleet: Fleet, faults: FaultList) -> None:
    crossed = fleet.soc_min > fleet.soc_max
    _note(fleet, faults, "soc_min", crossed, "must not exceed soc_max")
    idle = fleet.p_kw_rated == 0
    _note(fleet, faults, "p_charge_kw_max", idle, "must be above 0, or p_discharge_kw_max must")
    short = fleet.s_kva_max < fleet.p_kw_rated * (1 - 1e-9)
    _note(fleet, faults, "s_kva_max", short, "must be at least the larger of the two powers")


def _note(
    fleet: Fleet, faults: FaultList, name: str, wrong: npt.NDArray[np.bool_], allowed: str
) -> None:
    """One fault for each wrong row; of very many, the first ones and a count."""
    rows = np.flatnonzero(wrong)
    column = getattr(fleet, name)
    for row in rows[:FAULTS_SHOWN_MAX]:
        battery = f" (battery {str(fleet.battery_id[row])!r})"
        faults.add(f"batteries[{row}].{name}", column[row].item(), allowed + battery)
    if rows.size > FAULTS_SHOWN_MAX:
        faults.add(name, f"{rows.size - FAULTS_SHOWN_MAX} more batteries", allowed)
