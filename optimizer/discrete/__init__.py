"""Batteries with steps or a least power, and those that prices reward for burning energy.

The structured engine's relaxation gives prices, exact oracles answer them with schedules, and the
continuous batteries absorb what is left. The algorithm is described in `docs/discrete.md`.
"""
