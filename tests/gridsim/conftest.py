"""Studies and runs that several test modules share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.gridsim import studies

if TYPE_CHECKING:
    from gridsim.run.result import Run
    from gridsim.study.study import Study


@pytest.fixture(scope="session")
def street_study() -> Study:
    return studies.street()


@pytest.fixture(scope="session")
def street_run(street_study: Study) -> Run:
    return street_study.run()


@pytest.fixture(scope="session")
def crowded_study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A small grid whose batteries are too large for it."""
    return studies.small_study(tmp_path_factory.mktemp("crowded"))


@pytest.fixture(scope="session")
def crowded_run(crowded_study: Study) -> Run:
    return crowded_study.run()
