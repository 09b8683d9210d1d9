"""The tables of a dispatch problem in normal form; `optimizer.problem` has them all."""
