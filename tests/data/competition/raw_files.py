"""Sizes of the generated files, the same data in the layout of the public copy, and an object that does harm."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tfrec.data.competition.world import WorldSize

SIZE = WorldSize(users=60, test_users=20, items=80, topics=8, mean_length=9, max_length=20, vector_dim=6, seed=4)


class Harm:
    def __reduce__(self) -> tuple[object, ...]:
        return os.system, ("touch harmed",)


def public_copy(raw: Path, copy: Path, *, lists: bool = False) -> Path:
    """The same data in the layout of the public copy, made from the files of the competition row by row."""
    copy.mkdir()
    (copy / "indexer.pkl").write_bytes((raw / "indexer.pkl").read_bytes())
    lines = [json.loads(line) for line in (raw / "seq.jsonl").open()]
    names = ("item_id", "action_type", "timestamp")
    sequences, users = [], []
    for line in lines:
        events = [dict(zip(names, (item, action, time), strict=True)) for _, item, _, _, action, time in line if item]
        held = {name: [event[name] for event in events] for name in names} if lists else events
        sequences.append({"user_id": line[0][0], "seq": held})
        users += [{"user_id": user, **profile} for user, item, profile, *_ in line if item is None]
    features = json.loads((raw / "item_feat_dict.json").read_text())
    candidates = [json.loads(line) for line in (raw / "predict_set.jsonl").open()]
    names = sorted({name for row in features.values() for name in row})
    vectors = [json.loads(line) for path in sorted(raw.glob("creative_emb/*/*.json")) for line in path.open()]
    wrapped = [
        {
            "item_id": one["creative_id"],
            "retrieval_id": one["retrieval_id"],
            # Values that were not indexed are of no type that a column of numbers has.
            **{
                name: {"feature_value": None if isinstance(v := one["features"].get(name), str) else v}
                for name in names
            },
        }
        for one in candidates
    ]
    items = [{"item_id": int(number), **{name: row.get(name) for name in names}} for number, row in features.items()]
    tables = {"seq": sequences, "user_feat": users, "item_feat": items, "candidate": wrapped}
    for name, rows in {**tables, "mm_emb/emb_81_6_parquet": vectors}.items():
        (copy / name).mkdir(parents=True)
        for part in range(2):
            pq.write_table(pa.Table.from_pylist(rows[part::2]), copy / name / f"part-{part}.parquet")
    return copy
