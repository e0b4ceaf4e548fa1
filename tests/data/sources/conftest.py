"""The commands as a user calls them, and splits read back as raw ids."""

from __future__ import annotations

import itertools
import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tfrec import convert, datasets
from tfrec.command import run_command
from tfrec.data.dataset import InteractionDataset


@pytest.fixture
def get(capsys: pytest.CaptureFixture[str]) -> Callable[..., dict[str, Any]]:
    """Runs `python -m tfrec.datasets get ... --json` and returns the document."""

    def run(*arguments: object) -> dict[str, Any]:
        code = run_command(datasets.main, ["get", *map(str, arguments), "--json"])
        captured = capsys.readouterr()
        assert code == 0, captured.err
        return json.loads(captured.out)

    return run


@pytest.fixture
def convert_as_printed(capsys: pytest.CaptureFixture[str]) -> Callable[..., InteractionDataset]:
    """Runs the `python -m tfrec.convert` command that `get` prints."""

    def run(command: str, output: Path) -> InteractionDataset:
        words = shlex.split(command)
        assert words[:3] == ["python", "-m", "tfrec.convert"]
        assert words[-2:] == ["--output", "DATASET"]
        assert run_command(convert.main, [*words[3:-1], str(output)]) == 0, capsys.readouterr().err
        capsys.readouterr()
        return InteractionDataset.open(output)

    return run


@pytest.fixture
def sequences() -> Callable[[InteractionDataset, str], list[tuple[Any, list[Any]]]]:
    """Reads a split as (raw id, raw items), in file order; every event but the first must be a target."""

    def read(dataset: InteractionDataset, split: str) -> list[tuple[Any, list[Any]]]:
        arrays = dataset.load_ragged(split)
        starts = arrays.offsets.tolist()
        items = dataset.item_vocabulary.raw(arrays.items)
        assert arrays.num_targets.tolist() == [end - start - 1 for start, end in itertools.pairwise(starts)]
        return [(arrays.user_ids[n], items[starts[n] : starts[n + 1]]) for n in range(len(arrays))]

    return read
