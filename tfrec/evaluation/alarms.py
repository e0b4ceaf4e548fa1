"""What a reader must know before any number: the model has collapsed, or has learnt nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Alarm = dict[str, Any]

MAX_CONSTANT_SHARE = 0.5
MAX_TIED_SHARE = 0.5
MAX_LIST_OVERLAP = 0.9
# Lists of fewer targets agree too easily.
_MIN_PROBED = 16


def find_alarms(
    name: str, section: Mapping[str, Any], protocol: Mapping[str, Any], *, trained: bool = True
) -> list[Alarm]:
    """Returns the alarms on a model.

    `constant_scores`: for more than half of the probed targets all items have the same score. `same_list`: the best
    items of two targets agree beyond chance by more than 0.9 (histories not excluded). `tied_scores`: more than half of
    the targets share their score with another candidate, so that the tie rule makes the numbers. `at_chance`: the
    interval of the recall at the largest cut-off reaches down to the chance level. `below_popularity`: that recall is
    below that of the most popular items for everyone, and the interval of the difference excludes zero.

    Args:
        name: Name of the model.
        section: Its section of the protocol, see `protocol_section`.
        protocol: Section of the protocol: label, cut-offs, chance level and models.
        trained: False for models that are counted: their lists may agree by design.

    Returns:
        Dicts of name, model, protocol, message, value and limit.
    """
    alarms: list[Alarm] = []

    def add(kind: str, message: str, value: float, limit: float) -> None:
        place = {"name": kind, "model": name, "protocol": protocol["label"]}
        alarms.append({**place, "message": message, "value": value, "limit": limit})

    scores = section.get("scores")
    if scores and trained:
        share = scores["share_constant"]
        if share > MAX_CONSTANT_SHARE:
            text = f"`{name}` gives all items the same score for {100 * share:.0f} % of the probed targets."
            add("constant_scores", f"{text} Its ranks say nothing but how ties are broken.", share, MAX_CONSTANT_SHARE)
        overlap = scores["list_overlap"]
        if overlap is not None and overlap > MAX_LIST_OVERLAP and scores["num_probed"] >= _MIN_PROBED:
            text = (
                f"`{name}` recommends nearly the same {scores['overlap_length']} items to everybody: two lists share "
            )
            add("same_list", f"{text}{100 * overlap:.0f} % beyond chance.", overlap, MAX_LIST_OVERLAP)
    tied = section["ties"]["share_tied"]
    if tied > MAX_TIED_SHARE and trained:
        text = f"`{name}` gives {100 * tied:.0f} % of the targets the score of another candidate: the tie rule"
        add("tied_scores", f"{text} ({protocol['tie_rule']}) makes the numbers.", tied, MAX_TIED_SHARE)
    metric = f"recall@{max(protocol['cutoffs'])}"
    chance, value = protocol["chance"][metric], section["metrics"][metric]
    low = section["intervals"].get(metric, {"low": value})["low"]
    if low <= chance < 1.0:
        text = f"`{name}` cannot be told from random ranking: {metric} {value:.4f}, interval from {low:.4f}, chance "
        add("at_chance", f"{text}{chance:.4f}.", low, chance)
    popularity = protocol["models"].get("popularity", {}) if trained else {}
    difference = popularity.get("difference", {}).get(metric)
    if difference and difference["high"] < 0:
        limit = popularity["metrics"][metric]
        text = f"`{name}` is below the most popular items for everyone: {metric} {value:.4f} against {limit:.4f}."
        add("below_popularity", text, value, limit)
    return alarms
