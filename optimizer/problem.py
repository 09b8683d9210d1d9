"""What was asked: one dispatch problem in normal form.

Everything that plans, solves or checks reads this form: columns of numpy arrays with every default
filled in, every reference an index and every series at full length. The portable JSON form is in
`optimizer.document`; the equations are in `docs/formulation.md`.

Axes: ``N`` batteries (charging sessions are rows among them), ``M`` generators, ``G`` groups, ``L``
limits, ``K`` targets, ``T`` intervals. Power is positive into the unit or group (charging,
consuming, importing); all series over intervals are interval means.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from optimizer.checks import problem_faults
from optimizer.reach import find_band_yields
from optimizer.tables.columns import says_nothing
from optimizer.tables.network import NetworkRows
from optimizer.tables.reserve import Reserves
from optimizer.tables.trading import Positions
from optimizer.tables.tree import NO_GROUP, Groups, Limits
from optimizer.tables.units import Batteries, Generators, Targets
from twins.faults import InvalidInputError

if TYPE_CHECKING:
    import numpy.typing as npt

    from twins.timegrid import TimeGrid

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

__all__ = [
    "NO_GROUP",
    "Batteries",
    "DispatchProblem",
    "Generators",
    "Groups",
    "Limits",
    "NetworkRows",
    "Positions",
    "ProblemError",
    "Reserves",
    "Targets",
]


_ROWS_PER_CHUNK = 4096
"""Rows at a time of what goes into the digest: columns that are spread stay so."""
_LATER = {
    (table, name): default
    for table, name, default in (
        ("Batteries", "p_kw_previous", np.nan),
        ("Batteries", "change_price_per_kwh", 0.0),
        ("Batteries", "provides_reserve", False),
        ("Limits", "ramp_up_kw_per_h", np.inf),
        ("Limits", "ramp_down_kw_per_h", np.inf),
        ("Limits", "p_kw_initial", np.nan),
    )
}
"""Columns that came later, with their defaults: at those they do not move a problem's digest."""


class ProblemError(InvalidInputError):
    """A dispatch problem that makes no sense; `faults` names every reason."""


@dataclass(frozen=True, eq=False)
class DispatchProblem:
    """A checked dispatch problem; see the module's text for axes and signs.

    Attributes:
        grid: the T intervals.
        price_import_per_kwh: shape (T,), paid for what a unit outside every site draws.
        price_export_per_kwh: shape (T,), earned for what it delivers.
        name: free text.
        currency: unit of every price, e.g. "EUR".

    Raises:
        ProblemError: anything is inconsistent; every fault is named.
    """

    grid: TimeGrid
    price_import_per_kwh: Floats
    price_export_per_kwh: Floats
    batteries: Batteries
    generators: Generators
    groups: Groups
    limits: Limits
    targets: Targets
    name: str = "problem"
    currency: str = "EUR"
    document: dict[str, Any] | None = field(default=None, repr=False)
    """The portable form this was read from, kept so that a saved plan holds what was asked."""
    network: NetworkRows = field(default_factory=NetworkRows.none)
    positions: Positions = field(default_factory=Positions.none)
    reserves: Reserves = field(default_factory=Reserves.none)

    def __post_init__(self) -> None:
        faults = problem_faults(self)
        if faults:
            raise ProblemError(self.name, faults)

    def __repr__(self) -> str:
        counts = f"{len(self.batteries)} batteries, {len(self.groups)} groups"
        return f"DispatchProblem({self.name!r}, {counts}, {self.grid})"

    @property
    def shape(self) -> tuple[int, int]:
        """(batteries, intervals)."""
        return len(self.batteries), len(self.grid)

    @cached_property
    def digest(self) -> str:
        """sha256 of everything that decides the answer; the same in every process."""
        digest = hashlib.sha256(self.grid.instants.tobytes())
        for price in (self.price_import_per_kwh, self.price_export_per_kwh):
            digest.update((price + 0).tobytes())
        tables: list[Any] = [self.batteries, self.generators, self.groups]
        tables += [self.limits, self.targets]
        # A table that came later and is empty says nothing: a problem keeps the digest it had.
        tables += [table for table in (self.network, self.positions, self.reserves) if len(table)]
        for table in tables:
            for column in fields(table):
                value = getattr(table, column.name)
                later = _LATER.get((type(table).__name__, column.name))
                if column.name == "where" or (later is not None and says_nothing(value, later)):
                    continue
                digest.update(column.name.encode())
                if not isinstance(value, np.ndarray):
                    digest.update(repr(value).encode())
                    continue
                for start in range(0, len(value), _ROWS_PER_CHUNK):
                    # Adding 0 turns -0.0 into 0.0: equal problems have equal digests.
                    digest.update((value[start : start + _ROWS_PER_CHUNK] + 0).tobytes())
        return digest.hexdigest()

    @cached_property
    def battery_site(self) -> Ints:
        """The site each battery is settled at, or `NO_GROUP` for its own terminals. Shape (N,)."""
        return self._sites_of(self.batteries.group)

    @cached_property
    def generator_site(self) -> Ints:
        """The site each generator is settled at, or `NO_GROUP`. Shape (M,)."""
        return self._sites_of(self.generators.group)

    def _sites_of(self, group: Ints) -> Ints:
        if not len(self.groups):
            return np.full(group.shape, NO_GROUP, dtype=np.int64)
        return np.where(group == NO_GROUP, NO_GROUP, self.groups.site_of[group])

    @cached_property
    def reserve_pairs(self) -> Ints:
        """Product and battery of every reserve that may be kept, by product, shape (P, 2)."""
        groups = self.groups
        provides = np.flatnonzero(self.batteries.provides_reserve)
        pairs = []
        for product, group in enumerate(self.reserves.group.tolist()):
            inside = [group in (*chain, NO_GROUP) for chain in groups.ancestors]
            # The last place is for batteries in no group.
            member = np.array([*inside, group == NO_GROUP])[self.batteries.group[provides]]
            battery = provides[member]
            pairs.append(np.column_stack([np.full(len(battery), product), battery]))
        return np.concatenate([np.zeros((0, 2), dtype=np.int64), *pairs]).astype(np.int64)

    @cached_property
    def reserve_batteries(self) -> Ints:
        """Batteries that may keep any reserve, in the order of their rows, shape (B,)."""
        return np.unique(self.reserve_pairs[:, 1])

    @cached_property
    def energy_after_loss(self) -> Floats:
        """Share of an interval's first energy that is left at its end, shape (N, T)."""
        kept, step_h = 1.0 - self.batteries.standing_loss_per_h, self.grid.step_h
        if (step_h == step_h[0]).all():  # one value a battery is enough
            return np.broadcast_to((kept ** step_h[0])[:, None], self.shape)
        return np.asarray(kept[:, None] ** step_h[None, :])

    @cached_property
    def band_yields(self) -> npt.NDArray[np.bool_]:
        """Batteries that cannot keep their band, shape (N,); see `optimizer.reach`."""
        return find_band_yields(self)

    @cached_property
    def days(self) -> Ints:
        """The UTC day of each interval, counted from 0, shape (T,)."""
        day = self.grid.starts.astype("datetime64[D]").astype(np.int64)
        return np.asarray(day - day[0])

    @cached_property
    def firm_price_per_kwh(self) -> float:
        """Price at which a firm limit is broken where nothing else is possible.

        Far above every energy price and above every stated breach price, so that a firm limit
        yields last, and not so far that the solver's tolerances are lost.
        """
        energy = [self.price_import_per_kwh, self.price_export_per_kwh]
        if self.groups.is_site.any():
            energy += [
                self.groups.price_import_per_kwh[self.groups.is_site],
                self.groups.price_export_per_kwh[self.groups.is_site],
            ]
        energy += [self.batteries.end_value_per_kwh, self.batteries.wear_cost_charge_per_kwh]
        energy += [self.batteries.wear_cost_discharge_per_kwh, self.generators.cost_per_kwh]
        energy += [self.positions.price_above_per_kwh, self.positions.price_below_per_kwh]
        energy += [self.batteries.change_price_per_kwh]
        largest = max(float(np.abs(column).max(initial=0.0)) for column in energy)
        stated = max(
            float(self.limits.breach_price_per_kwh.max(initial=0.0)),
            float((self.limits.breach_price_per_kw / self.grid.step_h.min()).max(initial=0.0)),
            float(self.targets.breach_price_per_kwh.max(initial=0.0)),
            float(self.network.breach_price_per_kwh.max(initial=0.0)),
            float(self.reserves.breach_price_per_kwh.max(initial=0.0)),
        )
        return max(1000.0 * largest, 10.0 * stated, 1.0)
