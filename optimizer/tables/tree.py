"""The tree of groups and the limits on their net power."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from optimizer.tables.columns import left_out, spread

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

NO_GROUP = -1
"""Index that stands for "in no group" (a unit), "at the top" (a group) or "the whole" (a limit)."""


@dataclass(frozen=True, eq=False)
class Groups:
    """The tree of groups; a *site* is a group with a meter.

    Attributes:
        group_id: names, length G.
        where: path of each row in its document.
        parent: shape (G,), index of the parent or `NO_GROUP`.
        is_site: shape (G,), true where the net is metered and settled at the site's own prices.
        load_kw: shape (G, T), fixed consumption, ≥ 0, of this node itself (children not included).
        generation_kw: shape (G, T), fixed generation, ≥ 0.
        price_import_per_kwh: shape (G, T), what a site pays; not used for other groups.
        price_export_per_kwh: shape (G, T), what a site earns.
    """

    group_id: tuple[str, ...]
    where: tuple[str, ...]
    parent: Ints
    is_site: npt.NDArray[np.bool_]
    load_kw: Floats
    generation_kw: Floats
    price_import_per_kwh: Floats
    price_export_per_kwh: Floats

    def __len__(self) -> int:
        return len(self.group_id)

    @cached_property
    def ancestors(self) -> tuple[tuple[int, ...], ...]:
        """For each group: itself, its parent, and so on to the top."""
        chains: list[tuple[int, ...]] = []
        for group in range(len(self)):
            chain, at = [], group
            while at != NO_GROUP:
                chain.append(at)
                at = int(self.parent[at])
            chains.append(tuple(chain))
        return tuple(chains)

    @cached_property
    def site_of(self) -> Ints:
        """For each group the index of the site it is or lies in, or `NO_GROUP`. Shape (G,)."""
        sites = [next((g for g in chain if self.is_site[g]), NO_GROUP) for chain in self.ancestors]
        return np.array(sites, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Limits:
    """Bounds on a group's net active power, and prices on their breach.

    A limit with neither price is firm: it is only broken where nothing else is possible, at a price
    above all others, and the breach is reported. A peak charge is a limit at the peak already paid
    whose largest breach is priced.

    Attributes:
        limit_id: names, length L.
        where: path of each row in its document.
        group: shape (L,), the group that is bounded, or `NO_GROUP` for the whole problem.
        p_kw_max: shape (L, T), +inf where there is none.
        p_kw_min: shape (L, T), −inf where there is none; −100 allows 100 kW of export.
        breach_price_per_kwh: shape (L,), on each interval's breach, 0 for none.
        breach_price_per_kw: shape (L,), on the largest breach of each side, 0 for none.
        ramp_up_kw_per_h: shape (L,), largest rise of the net between the means of neighbouring
            intervals, per hour between their midpoints; inf for none. Left out, none has any.
        ramp_down_kw_per_h: shape (L,), largest fall, as a positive number.
        p_kw_initial: shape (L,), net before the first interval, nan where the first is free.
    """

    limit_id: tuple[str, ...]
    where: tuple[str, ...]
    group: Ints
    p_kw_max: Floats
    p_kw_min: Floats
    breach_price_per_kwh: Floats
    breach_price_per_kw: Floats
    ramp_up_kw_per_h: Floats = field(default_factory=left_out)
    ramp_down_kw_per_h: Floats = field(default_factory=left_out)
    p_kw_initial: Floats = field(default_factory=left_out)

    def __post_init__(self) -> None:
        shape = (len(self),)
        spread(
            self,
            ramp_up_kw_per_h=(np.inf, shape),
            ramp_down_kw_per_h=(np.inf, shape),
            p_kw_initial=(np.nan, shape),
        )

    def __len__(self) -> int:
        return len(self.limit_id)

    @property
    def is_firm(self) -> npt.NDArray[np.bool_]:
        """Limits without any price of their own, shape (L,)."""
        return np.asarray((self.breach_price_per_kwh == 0) & (self.breach_price_per_kw == 0))

    @property
    def has_ramp(self) -> npt.NDArray[np.bool_]:
        """Limits on how fast the net changes, shape (L,)."""
        return np.isfinite(self.ramp_up_kw_per_h) | np.isfinite(self.ramp_down_kw_per_h)

    @property
    def has_firm_ramp(self) -> npt.NDArray[np.bool_]:
        """Limits whose ramp is broken at the firm price, shape (L,).

        A ramp is priced by the kWh; a price on the largest breach says nothing about it.
        """
        return np.asarray(self.has_ramp & (self.breach_price_per_kwh == 0))
