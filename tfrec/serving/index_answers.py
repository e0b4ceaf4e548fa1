"""What an approximate index answers to the golden requests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from tfrec.serving.export_error import ExportError
from tfrec.serving.golden_requests import Request
from tfrec.serving.list_rules import list_rules
from tfrec.serving.offline_answers import OfflineAnswers
from tfrec.serving.replay import TOLERANCE, as_tensor

_RANKED = ("serving_default", "recommend", "examples", "session_step")
_LISTS = ("items", "scores", "count")


def take_answers(requests: Sequence[Request], signatures: Mapping[str, Any], answers: OfflineAnswers) -> float:
    """Replaces the lists of exact search by those of an approximate index, after a check of each.

    A list of the index must keep to the wishes of its request and be as long as that of exact search, and its items
    must have the scores of the model. Rows for which no index is asked (an allow-list, no known item in the history)
    keep the answers of the model, as do states of sessions.

    Args:
        requests: Golden requests; changed in place.
        signatures: Traced signatures by name.
        answers: The model, offline.

    Returns:
        The share of the exact lists of `k` items that the index finds, over the histories of the golden requests.

    Raises:
        ExportError: A list breaks a wish of its request, or a score is not that of the model.
    """
    found = wanted = 0
    for request in requests:
        if request["signature"] not in _RANKED:
            continue
        function = signatures[request["signature"]]
        specs = function.structured_input_signature[1]
        outputs = function(**{name: as_tensor(tf, request["inputs"][name], spec) for name, spec in specs.items()})
        received = {name: _plain(outputs[name]) for name in _LISTS}
        exact = request["outputs"]
        for row, rules in enumerate(list_rules(answers, request["signature"], request["inputs"])):
            if rules.exact:
                continue
            mine, theirs = _list(exact, row), _list(received, row)
            indices = answers.items.lookup([item for item, _ in theirs]).tolist() if theirs else []
            broken = rules.broken_by(indices, [score for _, score in theirs]) or _differs(mine, theirs)
            if broken:
                raise ExportError(
                    f"The index answers `{request['name']}` ({request['signature']}) wrongly: {broken}.",
                    remedy="It must not be served.",
                )
            if request["signature"] == "serving_default":
                wanted += len(mine)
                found += len({item for item, _ in mine} & {item for item, _ in theirs})
            for name in _LISTS:
                exact[name][row] = received[name][row]
    return round(found / max(1, wanted), 6)


def _list(outputs: Mapping[str, Any], row: int) -> list[tuple[Any, float]]:
    """Returns items and scores of a row, without what fills it up."""
    count = outputs["count"][row]
    return list(zip(outputs["items"][row][:count], outputs["scores"][row][:count], strict=True))


def _differs(mine: Sequence[tuple[Any, float]], theirs: Sequence[tuple[Any, float]]) -> str | None:
    if len(mine) != len(theirs):
        return f"it finds {len(theirs)} items, exact search {len(mine)}"
    known = dict(mine)
    last = mine[-1][1] if mine else 0.0
    for item, score in theirs:
        # What exact search leaves out scores no better than the last item of its list.
        right = known.get(item, min(score, last))
        if not abs(score - right) <= TOLERANCE * max(1.0, abs(right)):
            return f"the item `{item}` has the score {score}, of the model {right}"
    return None


def _plain(value: tf.Tensor) -> Any:
    def text(inner: Any) -> Any:
        if isinstance(inner, list):
            return [text(one) for one in inner]
        return inner.decode() if isinstance(inner, bytes) else inner

    return text(value.numpy().tolist())
