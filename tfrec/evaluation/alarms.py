"""What a reader must know before any number: the model has collapsed, or has learnt nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Alarm = dict[str, Any]

MAX_CONSTANT_SHARE = 0.5
MAX_TIED_SHARE = 0.5
MAX_LIST_OVERLAP = 0.9
MAX_USER_CHANCE = 0.1
USER_METRIC = "user_recall@10"
"""What models of long and short windows are judged by."""
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


def find_user_alarms(name: str, section: Mapping[str, Any]) -> list[Alarm]:
    """Returns the alarms on a model whose purpose is vectors of users.

    `users_at_chance`: the interval of the share of users who are found among the first 10 reaches down to chance.
    `below_user_baseline`: that share is below that of vectors without towers, and the interval of the difference
    excludes zero. Neither is told where chance is 1.

    Args:
        name: Name of the model.
        section: What `user_section` returned.
    """
    chance = section["chance"][USER_METRIC]
    if chance >= 1.0:
        return []
    own = section["models"][name]
    value = own["metrics"][USER_METRIC]
    alarms: list[Alarm] = []

    def add(kind: str, message: str, limit: float) -> None:
        place = {"name": kind, "model": name, "protocol": "vectors of users"}
        alarms.append({**place, "message": message, "value": value, "limit": limit})

    low = own["intervals"].get(USER_METRIC, {"low": value})["low"]
    if low <= chance:
        text = f"`{name}` cannot tell users apart: {USER_METRIC} {value:.4f}, interval from {low:.4f}"
        add("users_at_chance", f"{text}, chance {chance:.4f}.", chance)
    best = best_user_baseline(section)
    difference = {} if best is None else section["models"][best]["difference"][USER_METRIC]
    if best is not None and difference.get("high", 0.0) < 0:
        limit = section["models"][best]["metrics"][USER_METRIC]
        text = f"`{name}` finds users less often than `{best}`, which has no towers: {USER_METRIC} {value:.4f}"
        interval = f"{difference['low']:+.4f} to {difference['high']:+.4f}"
        add("below_user_baseline", f"{text} against {limit:.4f} ({interval}).", limit)
    return alarms


def best_user_baseline(section: Mapping[str, Any]) -> str | None:
    """Returns the baseline that finds most users, of a section of `user_section`."""
    models = section["models"]
    names = [name for name, model in models.items() if model["role"] == "baseline"]
    return max(names, key=lambda name: float(models[name]["metrics"][USER_METRIC])) if names else None


def too_few_users(section: Mapping[str, Any]) -> str | None:
    """Returns what to say when so few users are compared that chance alone finds many; takes a section as above."""
    chance = section["chance"][USER_METRIC]
    if chance < MAX_USER_CHANCE:
        return None
    return (
        f"With {section['users']:,} users chance alone has {USER_METRIC} {chance:.2f}: it says little about the model. "
        "Measure more users."
    )
