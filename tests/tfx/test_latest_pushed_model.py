"""The baseline is a model that was pushed, never one that only the Evaluator let pass."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.tfx
pytest.importorskip(
    "tfx", reason="TFX is not installed (extra `tfx`; above Python 3.10 it needs glibc 2.39)", exc_type=ImportError
)

from tfx.types.standard_artifacts import Model, PushedModel  # noqa: E402

from tfx_pipeline.latest_pushed_model import LatestPushedModelStrategy  # noqa: E402


def _model(identity: int) -> Model:
    model = Model()
    model.id = identity
    return model


def _push(identity: int, model: int, pushed: int) -> PushedModel:
    found = PushedModel()
    found.id = identity
    found.set_int_custom_property("pushed", pushed)
    if pushed:
        found.set_int_custom_property("pushed_model_id", model)
    return found


@pytest.mark.parametrize(
    ("pushes", "expected"),
    [
        ([], []),
        ([(11, 1, 0)], []),
        ([(11, 1, 1), (12, 2, 0)], [1]),  # the replay of the golden requests, or the Evaluator, refused model 2
        ([(11, 1, 1), (12, 2, 1)], [2]),
        ([(11, 1, 1), (12, 2, 1), (13, 1, 1)], [1]),  # back to an earlier one
        ([(11, 1, 1), (12, 9, 1)], [1]),  # its model is gone
    ],
)
def test_the_model_that_was_pushed_last(pushes: list[tuple[int, int, int]], expected: list[int]) -> None:
    given = {"model": [_model(2), _model(1)], "pushed_model": [_push(*push) for push in pushes]}
    found = LatestPushedModelStrategy().resolve_artifacts(None, given)
    assert [model.id for model in found["model"]] == expected
    assert len(found["pushed_model"]) == len(expected)
