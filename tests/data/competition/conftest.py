"""Generated files of the competition, and what is made of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.data.competition.raw_files import SIZE
from tfrec.data.competition.generator import generate_competition
from tfrec.data.competition.preparation import Prepared, prepare_competition
from tfrec.data.competition.world import World


@pytest.fixture(scope="package")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, World]:
    folder = tmp_path_factory.mktemp("competition") / "raw"
    return folder, generate_competition(folder, SIZE)


@pytest.fixture(scope="package")
def prepared(made: tuple[Path, World], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Prepared]:
    output = tmp_path_factory.mktemp("prepared") / "data"
    return output, prepare_competition(made[0], output)
