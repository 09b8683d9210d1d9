"""From a JSON problem file to a checked `DispatchProblem`, or to one error with every fault."""

from optimizer.reading.files import load_json, problem_from_document, read_problem

__all__ = ["load_json", "problem_from_document", "read_problem"]
