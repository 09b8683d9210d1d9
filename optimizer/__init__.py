"""What was asked and what was decided.

`optimizer.problem` states a dispatch problem, `optimizer.reading` reads one from JSON,
`optimizer.solve` plans it with Pyomo and HiGHS, `optimizer.plan` is the answer, and
`optimizer.certificate` proves it from its arrays alone. Import from those modules: this one stays
empty, so that reading a problem does not load a solver.
"""
