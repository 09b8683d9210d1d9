"""The gate is tried on a real grid: the shipped street."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.gridsim import studies

if TYPE_CHECKING:
    from gridsim.study.study import Study


@pytest.fixture(scope="session")
def study() -> Study:
    return studies.street()
