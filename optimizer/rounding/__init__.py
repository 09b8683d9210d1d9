"""Plans in whole watts."""

from optimizer.rounding.whole import Resolution, in_whole_watts

__all__ = ["Resolution", "in_whole_watts"]
