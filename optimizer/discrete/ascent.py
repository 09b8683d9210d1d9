"""Better prices where few continuous batteries set them: ascent of the bound itself.

At prices λ of the nets the bound is the sum of what batteries cost at best and of min h(z) − λ z
over the nets. Its slope in λ is what the answers add up to, less the nearest net that a price
of λ allows. Steps have momentum and shrink; the mean of the later prices is kept.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from optimizer.discrete import oracle
from optimizer.discrete.local import at_prices, crowd_of_all, totals
from optimizer.engine.prices import share_group_prices

if TYPE_CHECKING:
    import numpy.typing as npt

    from optimizer.discrete.rounds import Search
    from optimizer.engine.tree import Tree
    from optimizer.plan import Multipliers

    Floats = npt.NDArray[np.float64]

_FIRST, _LAST = 0.2, 0.004
"""Steps at the start and at the end, of a mean price."""
_MOMENTUM, _SPREAD = 0.8, 0.95
_WIDTH = 6


def ascend(search: Search, multipliers: Multipliers, sweeps: int) -> Multipliers:
    """Prices that prove more, by answers of the discrete batteries; the others stay as they are."""
    units, nets, tree, node = crowd_of_all(search, multipliers, np.zeros_like(search.p_kw))
    price, held = nets.price.copy(), nets.net
    mean = np.abs(units.charge_cost).mean()
    speed, spread = np.zeros_like(price), np.zeros_like(price)
    total, seen = np.zeros_like(price), 0
    for turn in range(sweeps):
        priced = at_prices(units, totals(tree, price)[node])
        answer = oracle.answer(priced, exact=False, width=_WIDTH)
        net = held + _sums(tree, node, answer.p_kw)
        low, high = _allowed(tree, price)
        slope = net - np.clip(net, low, high)
        speed = _MOMENTUM * speed + (1 - _MOMENTUM) * slope
        spread = _SPREAD * spread + (1 - _SPREAD) * slope**2
        scale = np.sqrt(spread / (1 - _SPREAD ** (turn + 1))) + 1e-12
        step = mean * _FIRST * (_LAST / _FIRST) ** (turn / sweeps)
        price = price + step * speed / (1 - _MOMENTUM ** (turn + 1)) / scale
        if 2 * turn >= sweeps:
            total, seen = total + price, seen + 1
        if search.is_late:
            break
    columns = {name: value.copy() for name, value in vars(multipliers).items()}
    found = replace(multipliers, **columns)
    share_group_prices(search.problem, tree, total / seen if seen else price, held, found)
    return found


def _sums(tree: Tree, node: npt.NDArray[np.int64], p_kw: Floats) -> Floats:
    """Sums of powers below each node."""
    net = np.zeros((len(tree.group), p_kw.shape[1]))
    np.add.at(net, node[node >= 0], p_kw[node >= 0])
    for at, above in enumerate(tree.parent):  # children come before their parents
        if above >= 0:
            net[above] += net[at]
    return net


def _allowed(tree: Tree, price: Floats) -> tuple[Floats, Floats]:
    """The least and the largest net that is best at each price."""
    slope, edges = tree.slope, tree.edges
    low = np.where(slope < price[:, None], edges[:, 1:], edges[:, :1]).max(axis=1)
    high = np.where(slope > price[:, None], edges[:, :-1], edges[:, -1:]).min(axis=1)
    return low, np.maximum(low, high)
