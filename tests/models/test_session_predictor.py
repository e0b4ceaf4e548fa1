"""Step-wise prediction equals scoring the whole session, whatever shares its batch."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from tests.sequence_batches import make_batch
from tfrec.config.gru4rec_config import GRU4RecConfig
from tfrec.data.vocabulary import Vocabulary
from tfrec.errors import DataError
from tfrec.models.gru4rec import GRU4Rec
from tfrec.models.session_predictor import SessionPredictor

RAW = ["ten", "eleven", "twelve", "thirteen"]  # indices 2, 3, 4, 5


@pytest.fixture
def predictor() -> SessionPredictor:
    model = GRU4Rec(GRU4RecConfig(layers=[3, 4]), 6, seed=1)
    return SessionPredictor(model, Vocabulary(pa.array(RAW), [4, 3, 2, 1]))


def whole(predictor: SessionPredictor, items: list[int]) -> np.ndarray:
    """Scores after the last of the items: the appended target is never seen."""
    return predictor.model.score_targets(make_batch([[*items, 2]], [1])).numpy()[0, 2:]


def test_state_is_kept_while_the_session_stays_and_zeroed_when_it_changes(predictor: SessionPredictor) -> None:
    predictor.predict_next([7, 8], ["ten", "eleven"])
    second = predictor.predict_next([7, 9], ["twelve", "thirteen"])
    np.testing.assert_allclose(second, [whole(predictor, [2, 4]), whole(predictor, [5])], atol=1e-6)
    third = predictor.predict_next([7, 9], ["ten", "ten"])
    np.testing.assert_allclose(third, [whole(predictor, [2, 4, 2]), whole(predictor, [5, 2])], atol=1e-6)


def test_another_batch_size_starts_anew(predictor: SessionPredictor) -> None:
    predictor.predict_next([7, 8], ["ten", "eleven"])
    np.testing.assert_allclose(predictor.predict_next([7], ["twelve"])[0], whole(predictor, [4]), atol=1e-6)


def test_candidates_select_columns(predictor: SessionPredictor) -> None:
    every = predictor.predict_next([1], ["ten"])
    predictor.predict_next([2], ["ten"])
    some = predictor.predict_next([1], ["ten"], candidates=["thirteen", "ten"])
    np.testing.assert_allclose(some, every[:, [3, 0]], atol=1e-6)


def test_unknown_items_and_uneven_lists_are_refused(predictor: SessionPredictor) -> None:
    with pytest.raises(DataError, match="fourteen"):
        predictor.predict_next([1], ["fourteen"])
    with pytest.raises(DataError, match="2 session ids for 1 items"):
        predictor.predict_next([1, 2], ["ten"])
