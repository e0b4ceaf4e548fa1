"""A preparation of the competition's files that was interrupted goes on."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tfrec.data.competition import preparation
from tfrec.data.competition.json_files import JsonFiles
from tfrec.data.competition.preparation import prepare_competition
from tfrec.data.competition.world import World
from tfrec.data.dataset import InteractionDataset
from tfrec.data.semantic_ids import HEALTH_FILE, IDS_FILE
from tfrec.errors import DataError


class Killed(BaseException):
    pass


def test_a_preparation_that_was_killed_goes_on_where_it_stopped(
    made: tuple[Path, World], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    read, convert = JsonFiles.load_events, preparation.convert

    def killed(stage: str, work: Callable[..., Any]) -> Callable[..., Any]:
        """Dies the first time that a stage is reached."""

        def step(*given: Any, **named: Any) -> Any:
            calls.append(stage)
            if calls.count(stage) == 1:
                raise Killed
            return work(*given, **named)

        return step

    def codes(ids: pa.Array, matrix: Any, folder: Path) -> None:
        folder.mkdir()
        pq.write_table(pa.table({"item_id": ids, "sid_0": ids.cast(pa.string())}), folder / IDS_FILE)
        (folder / HEALTH_FILE).write_text("{}")

    monkeypatch.setattr(JsonFiles, "load_events", killed("tables", read))
    monkeypatch.setattr(preparation, "convert", killed("dataset", convert))
    learn = killed("ids", codes)
    shutil.copytree(made[0], tmp_path / "raw")
    data = tmp_path / "raw" / "data"  # among the files it is made of
    prepare = partial(prepare_competition, tmp_path / "raw", data, semantic_ids=learn, settings="one")
    for _ in range(3):
        with pytest.raises(Killed):
            prepare(resume=True)
        assert not data.exists()
    for other in ({"settings": "another"}, {"vectors": ()}, {"test": made[0]}):
        with pytest.raises(DataError, match="other input files or options"):
            prepare(resume=True, **other)
    found = prepare(resume=True)
    assert calls == ["tables", "tables", "ids", "ids", "dataset", "dataset"]
    whole = prepare_competition(made[0], tmp_path / "whole", semantic_ids=codes)
    assert found == whole
    hashes = [InteractionDataset.open(folder / "dataset").manifest for folder in (data, tmp_path / "whole")]
    assert hashes[0].schema_hash == hashes[1].schema_hash
    assert hashes[0].splits == hashes[1].splits
    assert sorted(path.name for path in data.iterdir()) == sorted(path.name for path in (tmp_path / "whole").iterdir())
    notes = tmp_path / "other.partial" / "notes.txt"
    notes.parent.mkdir()
    notes.write_text("mine")
    with pytest.raises(DataError, match="left alone"):
        prepare_competition(made[0], tmp_path / "other")
    assert notes.exists()
