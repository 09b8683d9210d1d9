"""From a JSON problem file to a checked `DispatchProblem`, or to one error with every fault."""

from optimizer.reading.files import problem_from_document, read_problem
from optimizer.reading.json_file import load_json

__all__ = ["load_json", "problem_from_document", "read_problem"]
