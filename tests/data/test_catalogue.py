"""`--vocabulary`: an earlier item vocabulary goes on, index by index."""

from __future__ import annotations

import pyarrow as pa
import pytest

from tfrec.data.conversion import ConversionOptions, convert
from tfrec.data.dataset import InteractionDataset
from tfrec.errors import DataError


@pytest.fixture
def dataset(tmp_path):
    def run(name: str, items: list, **options) -> InteractionDataset:
        output = str(tmp_path / name)
        table = pa.table({"session_id": [1] * len(items), "item_id": items, "timestamp": list(range(len(items)))})
        settings = {"split": "random_user", "test_fraction": 0, "valid_fraction": 0, "time_unit": "s", **options}
        convert(ConversionOptions(output=output, **settings), table=table)
        return InteractionDataset.open(output)

    return run


@pytest.mark.parametrize("kind", [int, str])
def test_old_items_keep_their_index_and_new_ones_follow_by_count(dataset, kind):
    first = dataset("A", [kind(item) for item in (7, 7, 7, 5, 5, 9)])
    assert first.item_vocabulary.ids.tolist() == [kind(item) for item in (7, 5, 9)]
    second = dataset("B", [kind(item) for item in (3, 4, 4, 9, 9, 9, 5, 3, 4)], vocabulary=first.path)
    # 7 has no event any more and keeps index 2; 4 (three events) comes before 3 (two).
    assert second.item_vocabulary.ids.tolist() == [kind(item) for item in (7, 5, 9, 4, 3)]
    assert second.item_vocabulary.counts.tolist() == [0, 0, 0, 1, 3, 3, 2]
    assert second.load_ragged("train").items.tolist() == [6, 5, 5, 4, 4, 4, 3, 6, 5]
    assert second.manifest.counts.cold_items == 1


def test_ids_must_be_of_one_type(dataset):
    first = dataset("A", [7, 5])
    with pytest.raises(DataError, match="Its item ids are int64, those of the log string"):
        dataset("B", ["7", "5"], vocabulary=first.path)


def test_it_must_be_a_dataset(dataset, tmp_path):
    with pytest.raises(DataError, match="Not a dataset directory"):
        dataset("B", [7, 5], vocabulary=str(tmp_path / "none"))
