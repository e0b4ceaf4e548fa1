"""Writes a drawn world in the format of the competition, for tests and trials without its data."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from tfrec.data.competition.sequence_lines import line_offsets
from tfrec.data.competition.world import World, WorldSize, draw_world
from tfrec.errors import DataError
from tfrec.seeds import derive_seed

ITEM_FEATURES = ("100", "117", "111", "118", "101", "102", "119", "120", "114", "112", "121", "115", "122", "116")
USER_FEATURES = ("103", "104", "105", "109")
USER_LISTS = ("106", "107", "108", "110")
VECTOR_FEATURE = "81"
TRUTH = "truth.jsonl"
"""The hidden events, which the competition does not give away."""

_LINES_AT_ONCE = 5000
_VECTOR_SHARDS = 4
_WITHOUT_VECTOR = 0.12
_FAVOURITES_TOLD = 0.8


def generate_competition(output: str | Path, size: WorldSize) -> World:
    """Writes all files of the competition, and `truth.jsonl` with the hidden events of the test users.

    Args:
        output: Directory to write; must not exist.
        size: How large the world is.

    Returns:
        The world.

    Raises:
        DataError: The directory exists.
    """
    folder = Path(output)
    if folder.exists():
        raise DataError("The directory exists.", file=str(output), remedy="Name another one, or remove it.")
    temporary = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(temporary, ignore_errors=True)  # of a run that was interrupted
    temporary.mkdir(parents=True)
    world = draw_world(size)
    random = np.random.default_rng(derive_seed(size.seed, "competition files"))
    writer = _Writer(temporary, world, size, random)
    writer.index()
    writer.sequences()
    writer.candidates()
    writer.vectors()
    temporary.rename(folder)
    return world


class _Writer:
    """Names and numbers of items, users and feature values, and the files they go to."""

    def __init__(self, folder: Path, world: World, size: WorldSize, random: np.random.Generator) -> None:
        self.folder, self.world, self.size, self.random = folder, world, size, random
        items = size.items
        self.creative = random.permutation(10 * items)[:items] + 10**9  # raw id of every item
        self.number = np.zeros(items, np.int64)  # 1-based number of every indexed item, 0 for cold ones
        warm = np.flatnonzero(~world.cold)
        self.number[random.permutation(warm)] = np.arange(1, len(warm) + 1)
        self.features = [self._features_of(item) for item in range(items)]

    def index(self) -> None:
        """`indexer.pkl` and `item_feat_dict.json`."""
        known = np.flatnonzero(self.number)
        users = {f"user_{number:07d}": number for number in range(1, self.size.users + 1)}
        indexed = {int(self.creative[item]): int(self.number[item]) for item in known}
        values: dict[str, dict[str, int]] = {name: {} for name in (*ITEM_FEATURES, *USER_FEATURES, *USER_LISTS)}
        for item in known:
            for name, value in self.features[item].items():
                values[name][f"v{value}"] = value
        for name in (*USER_FEATURES, *USER_LISTS):
            values[name] = {f"v{value}": value for value in range(1, max(10, self.size.topics) + 1)}
        self._pickle("indexer.pkl", {"u": users, "i": indexed, "f": values})
        features = {str(self.number[item]): self.features[item] for item in known}
        (self.folder / "item_feat_dict.json").write_text(json.dumps(features), encoding="utf-8")

    def sequences(self) -> None:
        """`seq.jsonl` and `predict_seq.jsonl` with their offsets, and the truth."""
        world, bounds = self.world, np.concatenate([[0], np.cumsum(self.world.lengths)])
        texts = [json.dumps(features) for features in self.features]
        with (self.folder / TRUTH).open("w", encoding="utf-8") as truth:
            for name, first, last in (
                ("seq", 0, self.size.users),
                ("predict_seq", self.size.users, len(world.lengths)),
            ):
                path = self.folder / f"{name}.jsonl"
                hidden = int(name != "seq")
                with path.open("w", encoding="utf-8") as file:
                    lines: list[str] = []
                    for user in range(first, last):
                        raw: Any = f"user_{user + 1:07d}" if hidden else user + 1
                        events = range(bounds[user], bounds[user + 1] - hidden)
                        shown = json.dumps(raw)
                        records = [
                            f"[{shown}, {self.number[item]}, null, {texts[item]}, {action}, {time}]"
                            for item, action, time in zip(
                                world.item[events].tolist(),
                                world.action[events].tolist(),
                                world.timestamp[events].tolist(),
                                strict=True,
                            )
                        ]
                        profile = json.dumps(self._profile(user, cold=bool(hidden and user % 5 == 0)))
                        place = int(self.random.integers(0, len(records) + 1))
                        records.insert(place, f"[{shown}, null, {profile}, null, null, {world.timestamp[events[0]]}]")
                        lines.append(f"[{', '.join(records)}]\n")
                        if hidden:
                            target = int(self.creative[world.item[bounds[user + 1] - 1]])
                            truth.write(json.dumps({"user_id": raw, "creative_id": target}) + "\n")
                        if len(lines) == _LINES_AT_ONCE:
                            file.writelines(lines)
                            lines.clear()
                    file.writelines(lines)
                self._pickle(f"{name}_offsets.pkl", line_offsets(path))

    def candidates(self) -> None:
        """`predict_set.jsonl`: all items; those without a number have features that are not indexed, as text."""
        retrieval = self.random.permutation(3 * self.size.items)[: self.size.items] + 1
        with (self.folder / "predict_set.jsonl").open("w", encoding="utf-8") as file:
            for item in self.random.permutation(self.size.items):
                features: dict[str, Any] = self.features[item]
                if self.number[item] == 0:
                    features = {**features, "111": f"new {item}"}
                record = {"creative_id": int(self.creative[item]), "retrieval_id": int(retrieval[item])}
                file.write(json.dumps({**record, "features": features}) + "\n")

    def vectors(self) -> None:
        """JSON shards of the vectors by creative, some missing, and the pickle that preprocessing leaves."""
        dim = self.size.vector_dim
        folder = self.folder / "creative_emb" / f"emb_{VECTOR_FEATURE}_{dim}"
        folder.mkdir(parents=True)
        present = np.flatnonzero(self.random.random(self.size.items) >= _WITHOUT_VECTOR)
        for shard in range(_VECTOR_SHARDS):
            with (folder / f"part-{shard:05d}.json").open("w", encoding="utf-8") as file:
                for item in present[shard::_VECTOR_SHARDS]:
                    vector = [round(float(value), 5) for value in self.world.vectors[item]]
                    file.write(json.dumps({"anonymous_cid": str(self.creative[item]), "emb": vector}) + "\n")
        found = {str(self.creative[item]): self.world.vectors[item] for item in present}
        self._pickle(f"creative_emb/emb_{VECTOR_FEATURE}_{dim}.pkl", found)

    def _features_of(self, item: int) -> dict[str, int]:
        """Values of item features: some say the topic, some nothing, and the cold ones' topic is not told."""
        topic, place = int(self.world.topic[item]), int(self.world.place[item])
        told = {"100": 1 + topic // 10, "117": 1 + topic, "102": 1 + topic % 7, "118": 1 + min(place // 5, 9)}
        if self.world.cold[item]:
            told = {"118": 1 + min(place // 5, 9)}
        noise = self.random.integers(1, 6, len(ITEM_FEATURES)).tolist()
        drawn = dict(zip(ITEM_FEATURES, noise, strict=True)) | {"111": item + 1}
        kept = {name: value for name, value in drawn.items() if name not in ("100", "117", "102", "118")}
        return {**told, **kept}

    def _profile(self, user: int, *, cold: bool) -> dict[str, Any]:
        """Features of a user: `106` names the favourite topics, most of the time, `104` their kind; others nothing."""
        single = {name: int(self.random.integers(1, 9)) for name in USER_FEATURES}
        several = {name: sorted(set(self.random.integers(1, 9, 3).tolist())) for name in USER_LISTS}
        topics = self.world.favourites[user]
        told = topics[self.random.random(len(topics)) < _FAVOURITES_TOLD]
        several["106"] = sorted({1 + int(topic) for topic in told})
        single["104"] = 1 + int(topics[0]) % 10
        if cold:
            return {**single, **several, "103": f"new {user}"}
        return {**single, **several}

    def _pickle(self, name: str, value: Any) -> None:
        with (self.folder / name).open("wb") as file:
            pickle.dump(value, file)
