"""Where each bus is drawn: its coordinates, or a tree when the grid file has none."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import numpy as np

from gridsim.report.series import bus_positions, values

if TYPE_CHECKING:
    import numpy.typing as npt
    import xarray as xr

    Floats = npt.NDArray[np.float64]

LATITUDE_MAX = 85.0


def bus_xy(data: xr.Dataset) -> tuple[Floats, bool]:
    """Positions of shape (bus, 2), and whether they are the grid file's own.

    Coordinates are used when most buses have one and they are not all in one place; a bus without
    one is NaN. Otherwise buses lie on circles around the upstream bus, each branch in its sector.
    """
    xy = np.column_stack([values(data, "bus_x"), values(data, "bus_y")])
    known = np.asarray(np.isfinite(xy).all(axis=1))
    if known.sum() * 2 > len(xy) and np.ptp(xy[known], axis=0).max() > 0:
        return np.where(known[:, None], _flattened(xy), np.nan), True
    return _tree(data), False


def branch_ends(data: xr.Dataset) -> npt.NDArray[np.intp]:
    """Bus positions at both ends of every line, then of every transformer; (branch, 2)."""
    pairs = [("line_from", "line_to"), ("transformer_hv", "transformer_lv")]
    ends = [[bus_positions(data, data[name].to_numpy()) for name in pair] for pair in pairs]
    return np.concatenate([np.column_stack(pair) for pair in ends])


def _flattened(xy: Floats) -> Floats:
    """Degrees to a plane: one degree east is shorter the farther from the equator."""
    latitude = float(np.nanmean(xy[:, 1]))
    if np.nanmax(np.abs(xy[:, 1])) > LATITUDE_MAX:
        return xy
    return np.asarray(xy * [np.cos(np.radians(latitude)), 1.0])


def _tree(data: xr.Dataset) -> Floats:
    """Each bus at its distance from the root, in a sector as wide as it has leaves."""
    count = data.sizes["bus"]
    neighbours: list[list[int]] = [[] for _ in range(count)]
    for a, b in branch_ends(data):
        if a >= 0 and b >= 0:
            neighbours[a].append(int(b))
            neighbours[b].append(int(a))
    order, parent, depth = _breadth_first(neighbours, _roots(data))
    leaves = np.zeros(count)
    for bus in reversed(order):
        leaves[bus] = max(leaves[bus], 1.0)
        if parent[bus] >= 0:
            leaves[parent[bus]] += leaves[bus]
    angle = _angles(order, parent, leaves)
    radius = np.asarray(depth, dtype=np.float64)
    return np.column_stack([radius * np.cos(angle), radius * np.sin(angle)])


def _roots(data: xr.Dataset) -> list[int]:
    """All buses, the highest nominal voltage first: the first is the upstream bus."""
    return [int(bus) for bus in np.argsort(-values(data, "bus_kv"), kind="stable")]


def _breadth_first(
    neighbours: list[list[int]], roots: list[int]
) -> tuple[list[int], list[int], list[int]]:
    """Order, parent and depth of every bus; each island starts at its first root."""
    order: list[int] = []
    parent, depth = [-1] * len(neighbours), [-1] * len(neighbours)
    for root in roots:
        if depth[root] >= 0:
            continue
        depth[root] = 0 if not order else 1  # further islands do not hide the first root
        queue = deque([root])
        while queue:
            bus = queue.popleft()
            order.append(bus)
            for other in neighbours[bus]:
                if depth[other] < 0:
                    parent[other], depth[other] = bus, depth[bus] + 1
                    queue.append(other)
    return order, parent, depth


def _angles(order: list[int], parent: list[int], leaves: Floats) -> Floats:
    """The middle of each bus's sector; children share their parent's in proportion to leaves."""
    whole = sum(leaves[bus] for bus in order if parent[bus] < 0)
    start, width, used = np.zeros((3, len(order)))
    free = 0.0
    for bus in order:
        above = parent[bus]
        if above < 0:
            start[bus], width[bus] = free, 2 * np.pi * leaves[bus] / whole
            free += width[bus]
        else:
            width[bus] = width[above] * leaves[bus] / leaves[above]
            start[bus] = start[above] + used[above]
            used[above] += width[bus]
    return np.asarray(start + width / 2)
