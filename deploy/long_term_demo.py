"""The Tianchi log from CSV to vectors of users in Redis: `python deploy/long_term_demo.py --from DIR`.

Reads the published file, or its sample `sample_user_behavior.csv`, makes a data set, trains the long-term interest
model, publishes the vectors of its users (those with at least 20 events) as JSON lists under `user:ID`, and reads some
back as any client would. Without `--redis` it starts a Redis of its own, which ends with it.
"""

from __future__ import annotations

import json
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import numpy as np
import redis as redis_client
import typer

from tfrec.benchmarks.demo_command import run_module
from tfrec.benchmarks.private_redis import PrivateRedis, redis_server_missing
from tfrec.command import console, make_table, run_command
from tfrec.data.dataset import InteractionDataset
from tfrec.errors import TfrecError

_TINY = Path(__file__).resolve().parents[1] / "configs" / "tiny" / "long_term_interest.yaml"
_SHOWN = 3
_TOLERANCE = 1e-5
_HUMAN = console(json_output=False)


def main(
    source: Annotated[Path, typer.Option("--from", help="Directory with the CSV file of the log.")],
    redis: Annotated[str, typer.Option(help="URL of a Redis. Default: one of its own.")] = "",
    config: Annotated[Path, typer.Option(help="Configuration of the run. Default: the tiny one.")] = _TINY,
    output: Annotated[Path | None, typer.Option(help="Keep data set and run here. Default: nowhere.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace data set and run in --output.")] = False,
) -> None:
    """From the CSV file to vectors in Redis, each under the original id of its user."""
    with ExitStack() as stack:
        folder = output or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        url = redis
        if not url:
            if (reason := redis_server_missing()) is not None:
                raise TfrecError(f"There is no redis-server: {reason}", remedy="Pass --redis URL, or `make redis`.")
            url = stack.enter_context(PrivateRedis(stack.enter_context(tempfile.TemporaryDirectory()))).url
        dataset, run = folder / "DS", folder / "run"
        replace = ["--overwrite"] if overwrite else []
        run_module("tfrec.datasets", "get", "tianchi", "--from", source, "--dataset", dataset, *replace)
        train = ["--config", config, "--data", dataset, "--output", run, *replace]
        run_module("tfrec.train", *train, "--set", "evaluation.details=false")
        publish = ["--run", run, "--what", "users", "--format", "json", "--key-template", "user:{id}"]
        run_module("tfrec.publish", *publish, TFREC_REDIS_URL=url)
        _read_back(url, InteractionDataset.open(dataset).vocabulary("user").ids[:_SHOWN].tolist())


def _read_back(url: str, users: list[int]) -> None:
    rows: list[list[object]] = []
    with redis_client.Redis.from_url(url) as client:
        for user in users:
            if (found := client.get(f"user:{user}")) is None:
                raise TfrecError(f"Redis has no key `user:{user}`, though the vectors of all users were published.")
            vector = json.loads(found)
            length = float(np.linalg.norm(vector))
            if abs(length - 1.0) > _TOLERANCE:
                raise TfrecError(f"The vector of user {user} has the length {length}, not 1.")
            rows.append([f"user:{user}", len(vector), f"{length:.6f}", str([round(x, 4) for x in vector[:3]])[:-1]])
    _HUMAN.print("\njson.loads(r.get('user:ID')):", markup=False)
    _HUMAN.print(make_table("", ["key", "numbers", "length", "vector"], rows))


if __name__ == "__main__":
    sys.exit(run_command(main))
