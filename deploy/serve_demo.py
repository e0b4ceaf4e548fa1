"""`make serve-demo`: a tiny model from training to a SavedModel and to Redis, and back out of both."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tfrec.benchmarks.demo_command import run_module
from tfrec.benchmarks.private_redis import PrivateRedis, redis_server_missing
from tfrec.command import console, make_table, run_command
from tfrec.data.dataset import InteractionDataset
from tfrec.errors import TfrecError
from tfrec.stores.redis.embedding_reader import EmbeddingReader

_TRAIN = [
    *("--model", "sasrec", "--set", "data.synthetic={num_sessions: 3000, num_items: 400, num_categories: 10}"),
    *("--set", "model.dim=32", "--set", "training.epochs=8", "--set", "optimizer.learning_rate=0.01"),
    *("--set", "evaluation.baselines=[popularity]"),
]
_HUMAN = console(json_output=False)


def main() -> None:
    """Trains, exports, verifies, publishes and reads back; everything lies in a temporary directory."""
    if (reason := redis_server_missing()) is not None:
        raise TfrecError(f"The demo needs redis-server: {reason}", remedy="`make redis` installs it.")
    with tempfile.TemporaryDirectory() as folder, PrivateRedis(Path(folder) / "redis") as redis:
        run, models = Path(folder) / "run", Path(folder) / "models" / "demo"
        run_module("tfrec.train", *_TRAIN, "--output", run)
        run_module("tfrec.export", "--run", run, "--output", models)
        run_module("tfrec.publish", "--run", run, TFREC_REDIS_URL=redis.url)
        items = InteractionDataset.open(run / "dataset").item_vocabulary.ids[:3].tolist()  # the most popular
        _recommend(models / "1", items)
        _neighbours(redis.url, items[0])


def _recommend(version: Path, history: list[int]) -> None:
    import tensorflow as tf

    served = tf.saved_model.load(str(version)).signatures["recommend"]
    lists = served(
        history=tf.constant([history], tf.int64),
        history_length=tf.constant([len(history)]),
        k=tf.constant(5),
        exclude_ids=tf.zeros([1, 0], tf.int64),
        allow_ids=tf.zeros([1, 0], tf.int64),
        exclude_history=tf.constant(True),
    )
    rows = list(zip(lists["items"][0].numpy().tolist(), lists["scores"][0].numpy().tolist(), strict=True))
    _print(f"SavedModel: recommendations after items {history}", ["item", "score"], rows)


def _neighbours(url: str, item: int) -> None:
    found = EmbeddingReader(url, "items").top_k(item, 5)
    _print(f"Redis: neighbours of item {item}", ["item", "cosine"], [(near.id, near.score) for near in found])


def _print(title: str, columns: list[str], rows: list[tuple[object, ...]]) -> None:
    _HUMAN.print(f"\n{title}", markup=False)
    _HUMAN.print(make_table("", columns, [list(row) for row in rows]))


if __name__ == "__main__":
    sys.exit(run_command(main))
