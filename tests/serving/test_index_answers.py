"""Lists of an approximate index become golden only when they keep to the wishes of their requests."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from tfrec.data.vocabulary import Vocabulary
from tfrec.serving.export_error import ExportError
from tfrec.serving.index_answers import take_answers
from tfrec.serving.offline_answers import OfflineAnswers

IDS = [10, 11, 12, 13, 14, 15, 16]
SCORES = {10: 9.0, 11: 8.0, 12: 7.0, 13: 3.0, 14: 1.0, 15: 0.5, 16: 0.25}


class Model:
    """What the rules of lists ask of a model."""

    history_window = 2
    request_features = ()
    event_vocabularies: dict[str, Vocabulary] = {}  # noqa: RUF012


class Index:
    """A signature `recommend` that answers with given lists, filled up with zeros."""

    ids, whole = tf.TensorSpec([None, None], tf.int64), tf.TensorSpec([None], tf.int32)
    structured_input_signature = (
        (),
        {
            **{"history": ids, "exclude_ids": ids, "allow_ids": ids, "history_length": whole},
            **{"k": tf.TensorSpec([], tf.int32), "exclude_history": tf.TensorSpec([], tf.bool)},
        },
    )

    def __init__(self, *lists: list[int], **scores: float) -> None:
        self.lists = lists
        self.scores = {**SCORES, **{int(item[1:]): score for item, score in scores.items()}}

    def __call__(self, **inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        k = int(inputs["k"])
        lists = self.lists
        padded = [[*items, *[0] * (k - len(items))] for items in lists]
        scores = [[*(self.scores[item] for item in items), *[-1.0] * (k - len(items))] for items in lists]
        return {
            "items": tf.constant(padded, tf.int64),
            "scores": tf.constant(scores, tf.float32),
            "count": tf.constant([len(items) for items in lists]),
        }


def request(*exact: list[int], exclude: Any = None, allow: Any = None, histories: Any = None) -> dict[str, Any]:
    rows = len(exact)
    histories = histories or [[10]] * rows
    return {
        "name": "planted",
        "signature": "recommend",
        "inputs": {
            "history": [[*history, *[0] * (3 - len(history))] for history in histories],
            "history_length": [len(history) for history in histories],
            "k": 3,
            "exclude_ids": exclude or [[]] * rows,
            "allow_ids": allow or [[]] * rows,
            "exclude_history": True,
        },
        "outputs": {
            "items": [[*items, *[0] * (3 - len(items))] for items in exact],
            "scores": [[*(SCORES[item] for item in items), *[-1.0] * (3 - len(items))] for items in exact],
            "count": [len(items) for items in exact],
        },
    }


def take(asked: dict[str, Any], index: Index, candidates: list[int] | None = None) -> dict[str, Any]:
    items = Vocabulary(pa.array(IDS), [1] * len(IDS))
    answers = OfflineAnswers(cast(Any, Model()), items, candidates=candidates)
    take_answers([asked], {"recommend": index}, answers)
    return cast("dict[str, Any]", asked["outputs"])


def test_lists_that_miss_items_are_taken() -> None:
    outputs = take(request([12, 13, 14], exclude=[[11]]), Index([12, 14, 15]))
    assert outputs["items"] == [[12, 14, 15]]
    np.testing.assert_array_equal(outputs["scores"], [[7.0, 1.0, 0.5]])


@pytest.mark.parametrize(
    ("index", "words"),
    [
        (Index([11, 12, 13]), "place 1 is excluded"),
        (Index([10, 12, 13]), "place 1 is excluded"),  # the history
        (Index([12, 13, 13]), "occurs twice"),
        (Index([13, 12, 14]), "do not descend"),
        (Index([12, 13, 16]), "place 3 is not allowed"),  # no candidate
        (Index([12, 13]), "finds 2 items, exact search 3"),
        (Index([12, 13, 14], _13=3.5), "`13` has the score 3.5, of the model 3.0"),
        (Index([15, 12, 13], _15=7.5), "`15` has the score 7.5, of the model 1.0"),  # better than all that exact found
    ],
)
def test_what_is_wrong_with_a_list_is_said(index: Index, words: str) -> None:
    with pytest.raises(ExportError, match=rf"`planted` \(recommend\) wrongly: .*{words}"):
        take(request([12, 13, 14], exclude=[[11]]), index, candidates=[2, 3, 4, 5, 6, 7])


def test_rows_that_ask_no_index_keep_the_answers_of_the_model() -> None:
    """An allow-list, and a window without a known item, are answered exactly: other answers must show in the replay."""
    asked = request([13, 14], allow=[[13, 14]])
    assert take(asked, Index([14, 13]))["items"] == [[13, 14, 0]]
    asked = request([10, 11, 12], [11, 12, 13], histories=[[12, 99, 98], [10]])
    assert take(asked, Index([10, 13, 14], [11, 12, 14]))["items"] == [[10, 11, 12], [11, 12, 14]]
