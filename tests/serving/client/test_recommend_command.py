"""`python -m tfrec.recommend --server` gives what the model gives."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.serving.client.conftest import Served
from tests.serving.tiny_model import INT_IDS
from tfrec import recommend
from tfrec.command import run_command
from tfrec.data.conversion import ConversionOptions, convert

USERS = {"7": INT_IDS[:4], "8": INT_IDS[3:]}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Users and items of the int64 model, with titles."""
    folder = tmp_path_factory.mktemp("shop")
    rows = [(int(user), item, time) for user, items in USERS.items() for time, item in enumerate(items)]
    user, item, time = zip(*rows, strict=True)
    pq.write_table(pa.table({"item_id": INT_IDS, "title": [f"No. {item}" for item in INT_IDS]}), folder / "i.parquet")
    convert(
        ConversionOptions(
            output=str(folder / "DS"),
            items=(str(folder / "i.parquet"),),
            user_col="user_id",
            split="leave_one_out",
            unknown_items="keep",
            cold_items="keep",
            time_unit="s",
        ),
        table=pa.table({"user_id": user, "item_id": item, "timestamp": time}),
    )
    return folder / "DS"


def answer(capsys: pytest.CaptureFixture[str], served: Served, *arguments: object) -> dict[str, Any]:
    where = ["--server", served.client._transport.address, "--model-name", served.name, "--json"]
    code = run_command(recommend.main, [*where, *map(str, arguments)], prog="python -m tfrec.recommend")
    captured = capsys.readouterr()
    assert code == 0, captured.err
    return json.loads(captured.out)


def check(entries: list[dict[str, Any]], expected: list[tuple[Any, float]]) -> None:
    assert [entry["item"] for entry in entries] == [item for item, _ in expected]
    np.testing.assert_allclose([entry["score"] for entry in entries], [score for _, score in expected], atol=1e-5)


def test_named_items(served, capsys):
    ids = served.oracle.ids
    document = answer(capsys, served, "--items", f" {ids[0]},{ids[6]}", "-k", 3)
    check(document["recommendations"], served.oracle.top([ids[0], ids[6]], 3))
    assert list(document["recommendations"][0]) == ["item", "score"]
    assert document["history"] == [{"item": ids[0]}, {"item": ids[6]}]
    document = answer(capsys, served, "--items", ids[0], "-k", 99, "--include-seen")
    check(document["recommendations"], served.oracle.top([ids[0]], 99, exclude_history=False))


def test_items_that_the_served_model_does_not_know(served, capsys):
    ids = served.oracle.ids
    strange = 999999 if served.name == "int64" else "never seen"
    document = answer(capsys, served, "--items", f"{strange},{ids[6]}", "-k", 3)
    assert (document["unknown"], document["history"]) == ([str(strange)], [{"item": ids[6]}])
    check(document["recommendations"], served.oracle.top([ids[6]], 3))
    where = ["--server", served.client._transport.address, "--model-name", served.name]
    assert run_command(recommend.main, [*where, "--items", str(strange)], prog="python -m tfrec.recommend") == 3
    assert f"knows none of the items `{strange}`" in capsys.readouterr().err


@pytest.mark.parametrize("served", ["int64"], indirect=True)
def test_a_user_of_a_dataset(served, dataset, capsys):
    document = answer(capsys, served, "--user", 7, "--data", dataset, "-k", 4)
    history = USERS["7"]
    assert (document["user"], document["split"]) == ("7", "test")
    assert document["history"] == [{"item": item, "title": f"No. {item}"} for item in history]
    check(document["recommendations"], served.oracle.top(history, 4))
    assert [entry["title"] for entry in document["recommendations"]] == [
        f"No. {item}" for item, _ in served.oracle.top(history, 4)
    ]
    document = answer(capsys, served, "--items", f"99,{INT_IDS[1]}", "--data", dataset, "-k", 2)
    assert document["unknown"] == ["99"]
    check(document["recommendations"], served.oracle.top([INT_IDS[1]], 2))
