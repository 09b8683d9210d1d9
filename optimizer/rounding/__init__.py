"""Plans in whole watts."""

from optimizer.rounding.whole import Resolution, follow_within_limits, in_whole_watts

__all__ = ["Resolution", "follow_within_limits", "in_whole_watts"]
