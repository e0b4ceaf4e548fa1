"""`python -m tfrec.recommend` around a model whose scores are known: the index of the item, times the last item."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from tfrec import recommend
from tfrec.command import run_command
from tfrec.data.conversion import ConversionOptions, convert
from tfrec.data.dataset import InteractionDataset

# All four users have the same number of events, so that items 1 .. 6 get the indices of the training counts.
ROWS = [(user, item, item) for user in (1, 2, 3) for item in (1, 2, 3, 4)]


class LastTimesIndex:
    """Score of an item: index of the last item times its own."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.batches: list[dict[str, Any]] = []
        self.history_window = 1000
        self.event_vocabularies: dict[str, Any] = {}

    def score_targets(self, batch: dict[str, tf.Tensor]) -> tf.Tensor:
        self.batches.append({name: value.numpy().tolist() for name, value in batch.items()})
        last = tf.gather(batch["item"], batch["length"] - 2, batch_dims=1)  # [batch]
        return tf.cast(last[:, tf.newaxis] * tf.range(self.size)[tf.newaxis], tf.float32)  # [batch, vocab]


@pytest.fixture
def setup(tmp_path, monkeypatch):
    def run(**options: Any) -> tuple[InteractionDataset, LastTimesIndex]:
        user, item, time = zip(*ROWS, strict=True)
        settings = {"split": "leave_one_out", "unknown_items": "keep", "user_col": "user_id", "time_unit": "s"}
        output = str(tmp_path / "DS")
        convert(
            ConversionOptions(output=output, **{**settings, **options}),
            table=pa.table({"user_id": user, "item_id": item, "timestamp": time}),
        )
        dataset = InteractionDataset.open(output)
        model = LastTimesIndex(dataset.item_vocabulary.size)
        loaded = SimpleNamespace(model=model, open_dataset=lambda path: InteractionDataset.open(path or output))
        monkeypatch.setattr("tfrec.training.model_store.load_run", lambda path: loaded)
        return dataset, model

    return run


@pytest.fixture
def titled(setup, tmp_path):
    path = tmp_path / "items.parquet"
    titles = ["One [x]", "Two", None, "Four", "Five"]
    pq.write_table(pa.table({"item_id": [1, 2, 3, 4, 5], "title": titles}), path)
    return setup(items=(str(path),), cold_items="keep")


def run(*arguments: object) -> int:
    return run_command(recommend.main, ["--run", "R", *map(str, arguments)], prog="python -m tfrec.recommend")


def answer(capsys, *arguments: object) -> dict[str, Any]:
    code = run(*arguments, "--json")
    captured = capsys.readouterr()
    assert code == 0, captured.err
    return json.loads(captured.out)


def test_history_of_a_user_is_left_out(setup, capsys):
    # Training holds items 1 and 2 of everybody: 2 -> index 2, 1 -> 3, then without training events 4 -> 4, 3 -> 5.
    dataset, model = setup()
    assert dataset.item_vocabulary.ids.tolist() == [2, 1, 4, 3]
    assert answer(capsys, "--user", 2)["recommendations"] == []
    assert model.batches[0]["item"] == [[3, 2, 5, 4, 0]]
    assert model.batches[0]["timestamp"] == [[1000, 2000, 3000, 4000, 4000]]
    assert (model.batches[0]["length"], model.batches[0]["num_targets"]) == ([5], [1])
    assert model.batches[0]["user"] == [dataset.vocabulary("user").lookup([2])[0]]
    document = answer(capsys, "--user", 2, "--include-seen", "-k", 3)
    assert document["recommendations"] == [
        {"item": 3, "score": 20.0},  # 4 * 5
        {"item": 4, "score": 16.0},
        {"item": 1, "score": 12.0},
    ]
    assert [event["item"] for event in document["history"]] == [1, 2, 3, 4]
    assert (document["user"], document["split"]) == ("2", "test")


def test_named_items_and_the_old_flag(setup, capsys):
    _, model = setup()
    document = answer(capsys, "--items", "1, 99,2", "-k", 9)
    assert document["unknown"] == ["99"]
    assert [(entry["item"], entry["score"]) for entry in document["recommendations"]] == [(3, 10.0), (4, 8.0)]
    assert model.batches[0]["user"] == [1]  # nobody
    assert answer(capsys, "--items", "1,99,2", "-k", 9, "--exclude-seen") == document


def test_titles(titled, capsys):
    document = answer(capsys, "--items", "1,2", "-k", 2)
    # 5 is in the item file only; of equal count its text is the largest: 5 -> 4, 4 -> 5, 3 -> 6.
    assert document["recommendations"] == [
        {"item": 3, "title": None, "score": 12.0},
        {"item": 4, "title": "Four", "score": 10.0},
    ]
    assert document["history"] == [{"item": 1, "title": "One [x]"}, {"item": 2, "title": "Two"}]
    assert run("--items", "7,2,1", "--include-seen") == 0
    out = capsys.readouterr().out
    assert "After Two; One [x]" in out
    assert "Not in the training data, passed over: 7" in out
    assert "One [x]" in out.split("recommendations", 1)[1]


def test_long_histories_are_cut_for_people(setup, capsys, monkeypatch):
    setup()
    monkeypatch.setattr(recommend, "_SHOWN_EVENTS", 2)
    assert run("--user", 1) == 0
    assert "User 1, 4 events in test: ... 3; 4" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 2, "Nothing to recommend after"),
        (["--user", "1", "--items", "1"], 2, "exclude each other"),
        (["--items", " , "], 2, "`--items` is empty"),
        (["--items", "1", "--include-seen", "--exclude-seen"], 2, "exclude each other"),
        (["--items", "98,99"], 3, "None of the items `98`, `99`"),
        (["--items", "x"], 2, "are integers, received `x`"),
        (["--user", "12"], 3, "No split has the user `12`. Close to it: `2`, `1`."),
        (["--user", "1", "-k", "0"], 2, "-k"),
    ],
)
def test_refused(setup, capsys, arguments, code, words):
    setup()
    assert run(*arguments) == code
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--items", "1"], 2, "Give --run RUN, or --server URL"),
        (
            ["--items", "1", "--server", "localhost:8500"],
            2,
            "The address of the model server begins with none of grpc://",
        ),
        (["--user", "1", "--server", "http://localhost:1"], 2, "`--user` needs the data"),
        (["--items", "1", "--server", "http://localhost:1"], 5, "Is the server running there?"),
    ],
)
def test_refused_without_a_run(capsys, arguments, code, words):
    assert run_command(recommend.main, arguments, prog="python -m tfrec.recommend") == code
    assert words in capsys.readouterr().err
