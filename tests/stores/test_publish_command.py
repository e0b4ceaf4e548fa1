"""`python -m tfrec.publish` for untrained models, whose vectors are as good as any for comparing."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from tests.harness.tiny_recommender import tiny_recommender
from tfrec import publish
from tfrec.command import run_command
from tfrec.data.conversion import ConversionOptions, convert
from tfrec.data.dataset import InteractionDataset
from tfrec.data.event_history import user_history
from tfrec.models.popularity import Popularity
from tfrec.models.sequence_recommender import FactorisedRecommender
from tfrec.registry import model_class, model_names
from tfrec.stores.redis.embedding_reader import EmbeddingReader
from tfrec.stores.vector_directory import VectorDirectory
from tfrec.training.model_store import build_model, run_config

SMALL = {
    "gru4rec": ["model.layers=[6]"],
    "sasrec": ["model.dim=6", "model.heads=2", "model.blocks=1", "model.max_length=4"],
    "two_tower": ["model.dim=6", "model.user_vectors=true"],
}

USERS = 10
REGISTERED = [
    name
    for name in model_names()
    if name not in SMALL and issubclass(model_class(name), FactorisedRecommender) and name != "popularity"
]


def rows(big: int) -> list[tuple[Any, int, int]]:
    """Events (user, item, second): users have 3 to 9 events; raw ids beyond 2^31."""
    generator = np.random.default_rng(3)
    return [
        (big + user, int(item) + 5_000_000_000, 100 * int(time) + user)
        for user in range(USERS)
        for item, time in zip(
            generator.integers(0, 15, 3 + user % 7), np.sort(generator.choice(900, 3 + user % 7, False)), strict=True
        )
    ]


@pytest.fixture
def make_run(tmp_path, monkeypatch):
    def make(model: str, *, strings: bool = False, **options: Any) -> tuple[Any, InteractionDataset]:
        user, item, time = zip(*rows(2**40), strict=True)
        if strings:
            user, item = [f"Bürger: {one}" for one in user], [f"i {one}" for one in item]
        settings = {"split": "leave_one_out", "user_col": "user_id", "time_unit": "s", "unknown_items": "keep"}
        output = str(tmp_path / "DS")
        table = pa.table({"user_id": list(user), "item_id": list(item), "timestamp": list(time)})
        convert(ConversionOptions(output=output, **{**settings, **options}), table=table)
        dataset = InteractionDataset.open(output)
        if model == "popularity":
            recommender: Any = Popularity.for_dataset(Popularity.config_class(), dataset)
        elif model in SMALL:
            recommender = build_model(run_config(model, assignments=SMALL[model]), dataset)
        else:
            recommender = tiny_recommender(model, dataset)
        loaded = SimpleNamespace(
            model=recommender,
            checkpoint="c:1",
            open_dataset=lambda path: InteractionDataset.open(path or output),
            open_histories=lambda path: (InteractionDataset.open(path or output), None),
        )
        monkeypatch.setattr("tfrec.training.model_store.load_run", lambda path: loaded)
        return recommender, dataset

    return make


def run(*arguments: object) -> int:
    return run_command(publish.main, list(map(str, arguments)), prog="python -m tfrec.publish")


def answer(capsys, *arguments: object) -> dict[str, Any]:
    code = run(*arguments, "--json")
    captured = capsys.readouterr()
    assert code == 0, captured.err
    return json.loads(captured.out)


def after_history(model: Any, dataset: InteractionDataset, user: Any) -> dict[str, tf.Tensor]:
    """The batch with which `tfrec.recommend` asks for the next item of one user."""
    history = user_history(dataset, str(user))
    longest = min(len(history.items), model.history_window)
    items = [*history.items[-longest:], 0]
    times = [*history.timestamps[-longest:], history.timestamps[-1]]  # the target has the time of the latest event
    batch = {"item": tf.constant([items], tf.int32), "timestamp": tf.constant([times], tf.int64)}
    batch |= {"length": tf.constant([len(items)]), "num_targets": tf.constant([1])}
    return batch if history.user is None else batch | {"user": tf.constant([history.user], tf.int32)}


@pytest.mark.parametrize(
    ("model", "strings"),
    [("gru4rec", False), ("sasrec", True), ("two_tower", False), *((name, False) for name in REGISTERED)],
)
def test_vectors_are_those_of_the_model(make_run, tmp_path, capsys, model, strings):
    recommender, dataset = make_run(model, strings=strings)
    document = answer(capsys, "--run", "R", "--to", tmp_path / "out", "--append-bias")
    width = recommender.vector_dim
    assert width == (6 if model in SMALL else 8)
    written = [(entry["kind"], entry["dim"]) for entry in document["written"]]
    assert written == [("items", width + 1), ("users", width + 1)]
    items, users = VectorDirectory(tmp_path / "out/items"), VectorDirectory(tmp_path / "out/users")
    table, bias = recommender.item_table()
    count = items.description.count
    assert items.ids(0, count).to_pylist() == dataset.item_vocabulary.ids.tolist()
    np.testing.assert_array_equal(items.vectors(0, count)[:, :width], table.numpy()[2:])
    np.testing.assert_array_equal(items.vectors(0, count)[:, width], bias.numpy()[2:])
    everyone = {
        f"Bürger: {2**40 + user}" if strings else 2**40 + user for user in range(USERS)
    }  # also without training
    ids = users.ids(0, users.description.count).to_pylist()
    assert sorted(ids) == sorted(everyone)
    for user, vector in zip(ids, users.vectors(0, len(ids)), strict=True):
        batch = after_history(recommender, dataset, user)
        np.testing.assert_allclose(vector[:width], recommender.encode_targets(batch)[0], atol=1e-5)
        scores = items.vectors(0, count) @ vector
        np.testing.assert_allclose(scores, recommender.score_targets(batch)[0, 2:], atol=1e-5)


def test_users_without_a_known_item_have_vectors_of_zeros(make_run, tmp_path, capsys, monkeypatch):
    """As `encode_user` of an export answers; among others, so that the batch is padded."""
    late = [(USERS, 7_000_000_000 + event, 10_000_000 + event) for event in range(3)]
    events = rows(0)
    monkeypatch.setattr(f"{__name__}.rows", lambda big: [*events, *late])
    recommender, dataset = make_run(
        "gru4rec", split="session_time", user_col=None, session_col="user_id", test_days=1, unknown_items="oov"
    )
    answer(capsys, "--run", "R", "--what", "users", "--to", tmp_path / "out", "--split", "latest")
    users = VectorDirectory(tmp_path / "out/users")
    ids = users.ids(0, users.description.count).to_pylist()
    vectors = dict(zip(ids, users.vectors(0, len(ids)), strict=True))
    np.testing.assert_array_equal(vectors.pop(USERS), np.zeros(6))
    assert len(vectors) > 3
    for user, vector in vectors.items():
        expected = recommender.encode_targets(after_history(recommender, dataset, user))[0]
        np.testing.assert_allclose(vector, expected, atol=1e-5)


def test_of_several_sequences_the_latest_counts(make_run, tmp_path, capsys):
    recommender, dataset = make_run("gru4rec", split="global_time", test_fraction=0.3)
    assert len(dataset.splits) >= 2
    for split in ("latest", dataset.splits[0]):
        document = answer(capsys, "--run", "R", "--what", "users", "--split", split, "--to", tmp_path / split)
        users = VectorDirectory(tmp_path / split / "users")
        ids = users.ids(0, users.description.count).to_pylist()
        assert len(ids) == len(set(ids)) == document["written"][0]["count"]
        if split == "latest":
            sequences = [dataset.load_ragged(name).user_ids.tolist() for name in dataset.splits]
            assert set(ids) == {user for part in sequences for user in part}
            for user, vector in zip(ids, users.vectors(0, len(ids)), strict=True):
                expected = recommender.encode_targets(after_history(recommender, dataset, user))[0]
                np.testing.assert_allclose(vector, expected, atol=1e-5)
        else:
            assert set(ids) == set(dataset.load_ragged(split).user_ids.tolist())


@pytest.mark.redis
def test_publishing_rolling_back_and_pruning(make_run, server, capsys, monkeypatch):
    recommender, dataset = make_run("two_tower")
    monkeypatch.setenv("TFREC_REDIS_URL", server.url)
    plan = answer(capsys, "--run", "R", "--dry-run")
    assert [(one["kind"], one["count"], one["live"]) for one in plan["would_write"]] == [
        ("items", dataset.item_vocabulary.size - 2, None),
        ("users", USERS, None),
    ]
    with server.client() as client:
        assert client.dbsize() == 0
    first = answer(capsys, "--run", "R")["published"]
    assert [(one["kind"], one["dim"], one["encoding"], one["model"]) for one in first] == [
        ("items", 6, "float32", "two_tower"),
        ("users", 6, "float32", "two_tower"),
    ]
    assert (first[0]["written"], first[0]["previous"]) == (dataset.item_vocabulary.size - 2, None)
    item = dataset.item_vocabulary.ids[3]
    np.testing.assert_array_equal(EmbeddingReader(server.url, "items").get(item), recommender.item_table()[0][5])
    user = dataset.vocabulary("user").ids[7]
    expected = recommender.encode_targets(after_history(recommender, dataset, user))[0]
    reader = EmbeddingReader(server.url, "users", schema_hash=dataset.schema.hash, model="two_tower")
    np.testing.assert_allclose(reader.get(user), expected, atol=1e-5)

    second = answer(capsys, "--run", "R", "--normalise", "--format", "float16")["published"]
    assert second[0]["previous"] == first[0]["version"]
    assert np.linalg.norm(reader.get(user)) == pytest.approx(1.0, abs=2e-3)
    assert (reader.header.encoding, reader.header.normalised) == ("float16", True)
    assert answer(capsys, "--rollback", "--dry-run")["rolled_back"][0]["withdrawn"] == reader.version
    assert not reader.is_stale()
    back = answer(capsys, "--rollback", "--what", "users")["rolled_back"]
    assert back == [{"kind": "users", "withdrawn": second[1]["version"], "live": first[1]["version"]}]
    np.testing.assert_allclose(reader.get(user), expected, atol=1e-5)
    assert answer(capsys, "--prune", "--keep", 1)["pruned"] == [
        {"kind": "items", "removed": [first[0]["version"]]},
        {"kind": "users", "removed": [second[1]["version"]]},
    ]


@pytest.mark.parametrize("what", ["both", "items"])
def test_rolling_back_says_what_stays_and_warns_of_two_models(capsys, monkeypatch, what):
    class Store:
        """Items of m3, published after users and items of m2; items alone go back, to m1 when they are asked for."""

        address = SimpleNamespace(shown="redis://h")
        back = {"both": "m2", "items": "m1"}[what]

        def live_versions(self):
            return {"items": "v3", "users": "v2"}

        def newest_kinds(self):
            return ["items"]

        def live_models(self):
            return {"items": self.back, "users": "m2"}

        def rollback(self, kinds):
            assert kinds == ["items"]
            return [("v3", "v")]

    monkeypatch.setattr(publish, "_store", lambda *_: Store())
    assert run("--rollback", "--what", what) == 0
    told = capsys.readouterr().out
    assert "The items vectors are back at version v; v3 is withdrawn." in told
    assert "The users vectors stay at version v2." in told
    assert ("WARNING: users and items are now of different models" in told) == (what == "items")


@pytest.mark.redis
def test_published_json_lists_under_the_users_own_ids(make_run, server, capsys):
    make_run("gru4rec", strings=True)
    arguments = ["--run", "R", "--redis", server.url, "--what", "users", "--format", "json"]
    assert run(*arguments) == 0
    live = EmbeddingReader(server.url, "users").version
    assert run(*arguments, "--key-template", "user:{id}") == 0
    assert "Keys without versions" in capsys.readouterr().out
    assert EmbeddingReader(server.url, "users").version == live  # they have a prefix of their own
    capsys.readouterr()
    for template in ("copy:{id}", "own:{id}"):  # of keys without versions nothing is removed, and nothing is said to be
        assert run(*arguments, "--key-template", template) == 0
        assert "Removed" not in capsys.readouterr().out
    with server.client() as client:
        numbers = json.loads(client.get(f"user:Bürger: {2**40 + 3}"))
        assert json.loads(client.get(f"own:Bürger: {2**40 + 3}")) == numbers
    assert len(numbers) == 6
    assert all(isinstance(number, float) for number in numbers)


def test_what_cannot_be_done_is_said(make_run, tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("TFREC_REDIS_URL", raising=False)
    monkeypatch.setattr("tfrec.stores.model_vectors.ModelVectors.write_users", lambda *_: pytest.fail("too late"))
    make_run("popularity")
    cases = [
        (["--run", "R", "--to", tmp_path / "o"], 2, "`popularity` has no vectors"),
        (["--run", "R"], 2, "No Redis server is named"),
        (["--to", tmp_path / "o"], 2, "Which model"),
        (["--run", "R", "--to", "o", "--redis", "redis://h"], 2, "exclude each other"),
        (["--run", "R", "--format", "float64"], 2, "Did you mean `float"),
        (["--run", "R", "--to", "o", "--what", "user"], 2, "Did you mean `users`?"),
        (["--run", "R", "--to", "o", "--split", "tset"], 2, "Did you mean `test`?"),
        (["--rollback", "--run", "R"], 2, "stand alone"),
        (["--rollback", "--redis", "redis://:s3cret@127.0.0.1:1/0"], 5, "redis://:***@127.0.0.1:1/0 does not answer"),
    ]
    for arguments, code, words in cases:
        assert run(*arguments) == code
        captured = capsys.readouterr()
        assert words in captured.err
        assert "s3cret" not in captured.out + captured.err
    make_run("gru4rec", overwrite=True)
    # A server that does not answer is noticed before users are encoded.
    assert run("--run", "R", "--redis", "redis://:s3cret@127.0.0.1:1/0", "--retry-seconds", 0) == 5
    assert "redis://:***@127.0.0.1:1/0 does not answer" in capsys.readouterr().err
    assert run("--run", "R", "--to", tmp_path / "o", "--normalise", "--append-bias") == 2
    assert "cannot be normalised" in capsys.readouterr().err
    assert run("--run", "R", "--what", "items", "--to", tmp_path / "o") == 0
    assert run("--run", "R", "--what", "items", "--to", tmp_path / "o") == 2
    assert run("--run", "R", "--what", "items", "--to", tmp_path / "o", "--overwrite") == 0
    assert pq.read_table(tmp_path / "o/items/ids.parquet").num_rows > 0
