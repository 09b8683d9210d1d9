"""From a problem in normal form to pieces of work for the interior-point loop.

Equal bounds are fixed, energies are cut to what can be reached, rows that cannot bind are left out,
and what may be broken has its priced boxes.
"""

from optimizer.engine.presolve.fleet import Fleet, make_fleet
from optimizer.engine.presolve.work import Piece, plan_work

__all__ = ["Fleet", "Piece", "make_fleet", "plan_work"]
