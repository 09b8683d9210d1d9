"""Finished runs: their figures, their arrays, their files."""
