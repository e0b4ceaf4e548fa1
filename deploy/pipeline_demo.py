"""`make pipeline`: the whole TFX pipeline from a Parquet log to a pushed model, and vectors in a private Redis."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from tfrec.benchmarks.demo_command import run_module
from tfrec.benchmarks.private_redis import PrivateRedis, redis_server_missing
from tfrec.command import console, make_table, run_command
from tfrec.errors import TfrecError

_PROJECT = Path(__file__).resolve().parent.parent
_HUMAN = console(json_output=False)
_CLICKS = ["model.max_length=50", "training.epochs=2"]
_FEW_EPOCHS = {
    "gru4rec": ["--config", str(_PROJECT / "configs/frozen/yoochoose-100k/gru4rec.yaml"), "--set", "training.epochs=5"],
    "sasrec": ["--set", "training.epochs=4", "--set", "optimizer.learning_rate=0.003"],
}


def main(
    model: Annotated[str, typer.Option(help="gru4rec, sasrec or another registered model.")] = "gru4rec",
    root: Annotated[Path | None, typer.Option(help="Default: demo/pipeline-MODEL.")] = None,
) -> None:
    """Runs all nodes on the clicks of yoochoose-100k, or without them on the synthetic clickstream, in a few minutes.

    The clicks are looked for in the folder that TFREC_DATA names, else in ../shared/data. Click models run on generated
    impressions, split by day, and publish no vectors.
    """
    root = (root or Path("demo") / f"pipeline-{model}").resolve()
    if _predicts_clicks(model):
        _run_click_model(root, model)
        return
    if (reason := redis_server_missing()) is not None:
        raise TfrecError(f"The demo needs redis-server: {reason}", remedy="`make redis` installs it.")
    root.mkdir(parents=True, exist_ok=True)
    flags = ["--model", model, "--root", str(root), "--redis", "env", *_data(root), *_FEW_EPOCHS.get(model, [])]
    flags += ["--set", "evaluation.baselines=[popularity]"]
    with PrivateRedis(root / "redis") as redis:
        run_module("tfx_pipeline.run", *flags, TFREC_REDIS_URL=redis.url)
        version = _newest(root)
        run_module("tfrec.export", "--check", str(version))
        _neighbours(redis.url, version)


def _predicts_clicks(model: str) -> bool:
    from tfrec.registry import model_class

    return model_class(model).training_scheme == "impressions"


def _run_click_model(root: Path, model: str) -> None:
    """Runs all nodes for a click model, twenty thousand impressions of 82 columns that have a role."""
    from tfrec.config.impression_world_config import ImpressionWorldConfig
    from tfrec.data.impressions.impression_world import ImpressionWorld
    from tfrec.registry import model_class

    root.mkdir(parents=True, exist_ok=True)
    log = root / "impressions.parquet"
    if not log.is_file():
        ImpressionWorld(ImpressionWorldConfig(num_rows=20_000, median_length=40, click_rate=0.1)).write(log)
    keys = model_class(model).config_class.model_fields
    told = [text for text in _CLICKS if text.partition("=")[0].removeprefix("model.") in keys or "model." not in text]
    flags = ["--data", str(log), "--impressions", str(_PROJECT / "configs/impressions/toss.yaml")]
    flags += ["--day-col", "day_of_week", "--model", model, "--root", str(root)]
    run_module("tfx_pipeline.run", *flags, *(part for text in told for part in ("--set", text)))
    run_module("tfrec.export", "--check", str(_newest(root)))


def _newest(root: Path) -> Path:
    return max((root / "serving").glob("[0-9]*"), key=lambda path: int(path.name))


def _data(root: Path) -> list[str]:
    """Writes the log as Parquet and returns the flags that say what is in it."""
    log = root / "clicks.parquet"
    folder = Path(os.environ.get("TFREC_DATA", _PROJECT.parent / "shared" / "data")) / "yoochoose-100k"
    if folder.is_dir():
        if not log.is_file():
            run_module("tfrec.datasets", "get", "yoochoose-100k", "--from", str(folder), "--output", str(log))
        split = ["--split", "session_time_last", "--test-days", "1", "--filter-mode", "single_pass"]
        return ["--data", str(log), "--session-col", "session_id", "--time-unit", "ms", *split]
    from tfrec.config.clickstream_config import ClickstreamConfig
    from tfrec.data.synthetic import write_clickstream

    _HUMAN.print(f"There is no {folder}: synthetic clicks", markup=False)
    write_clickstream(log, ClickstreamConfig())
    return ["--data", str(log)]


def _neighbours(url: str, version: Path) -> None:
    """Reads an item of a golden request back from Redis."""
    from tfrec.stores.redis.embedding_reader import EmbeddingReader

    golden = json.loads((version / "assets.extra" / "golden_requests.json").read_text(encoding="utf-8"))
    item: Any = next(request["inputs"]["ids"][0] for request in golden if request["signature"] == "encode_item")
    rows = [(near.id, f"{near.score:.3f}") for near in EmbeddingReader(url, "items").top_k(item, 5)]
    _HUMAN.print(make_table(f"Redis: neighbours of item {item}", ["item", "cosine"], [list(row) for row in rows]))


if __name__ == "__main__":
    sys.exit(run_command(main))
