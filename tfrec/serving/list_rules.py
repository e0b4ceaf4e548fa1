"""What the lists that answer a request may hold, whatever index finds them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tfrec.data.vocabulary import FIRST_INDEX
from tfrec.serving.offline_answers import OfflineAnswers


@dataclass(frozen=True)
class ListRules:
    """What one row of an answer may hold.

    Attributes:
        excluded: Item indices that must not occur.
        allowed: Item indices that alone may occur; None: all items.
        exact: Whether no index is asked: rows with an allow-list, and rows that are ranked by popularity.
    """

    excluded: frozenset[int] = frozenset()
    allowed: frozenset[int] | None = None
    exact: bool = False

    def broken_by(self, indices: Sequence[int], scores: Sequence[float]) -> str | None:
        """Returns what is wrong with a list of item indices and their scores, or None."""
        for place, index in enumerate(indices):
            if index < FIRST_INDEX:
                return f"place {place + 1} holds no item"
            if index in self.excluded:
                return f"the item in place {place + 1} is excluded"
            if self.allowed is not None and index not in self.allowed:
                return f"the item in place {place + 1} is not allowed"
        if len(set(indices)) < len(indices):
            return "an item occurs twice"
        if any(not one >= other for one, other in itertools.pairwise(scores)):
            return "its scores do not descend"
        return None


def list_rules(answers: OfflineAnswers, signature: str, inputs: Mapping[str, Any]) -> list[ListRules]:
    """Returns the rules for every row of a request that is answered with lists.

    Args:
        answers: The model, offline.
        signature: `serving_default`, `recommend`, `examples` or `session_step`.
        inputs: As in a golden request.
    """
    candidates = answers.candidates
    if signature == "session_step":  # sessions know no history, and nothing is left out
        return [ListRules(allowed=candidates) for _ in inputs["ids"]]
    rules = []
    for row, history in enumerate(answers.histories(signature, inputs)):
        seen = frozenset(history.items.tolist())
        exact = not bool((history.items[-answers.model.history_window :] >= FIRST_INDEX).any())
        if signature == "recommend":
            excluded, allowed = (
                frozenset(answers.items.lookup(inputs[name][row]).tolist()) for name in ("exclude_ids", "allow_ids")
            )
            listed = bool(inputs["allow_ids"][row])
            rules.append(
                ListRules(
                    excluded | (seen if inputs["exclude_history"] else frozenset()),
                    (allowed if candidates is None else allowed & candidates) if listed else candidates,
                    exact or listed,
                )
            )
        else:
            rules.append(ListRules(seen, candidates, exact))
    return rules
