"""No text or vector of a user knows a valid or test event; what nobody vouches for is marked."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.text.conftest import TRAIN
from tfrec.data.dataset import InteractionDataset
from tfrec.data.item_vectors import write_item_vectors
from tfrec.data.user_vectors import read_user_vectors
from tfrec.errors import ConfigError
from tfrec.text.encode import encode_texts, take_means, take_vectors
from tfrec.text.hashed_encoder import HashedEncoder
from tfrec.text.item_metadata import read_item_metadata
from tfrec.text.mean_of_items import mean_of_items
from tfrec.text.prompts import item_prompts, user_prompts
from tfrec.text.template import item_templates, user_templates
from tfrec.text.text_audit import audit_user_texts
from tfrec.text.texts import Texts, write_texts


def test_what_is_held_out_changes_no_text_no_prompt_and_no_vector(
    cinema: InteractionDataset, twin: InteractionDataset
) -> None:
    held_out = [
        [dataset.load_ragged(split).items.tolist() for split in ("valid", "test")] for dataset in (cinema, twin)
    ]
    assert held_out[0] != held_out[1]
    made = []
    for dataset in (cinema, twin):
        metadata = read_item_metadata(dataset)
        texts = user_templates(dataset, metadata, last=3)
        prompts = {prompt.id: prompt.messages for prompt in user_prompts(dataset, metadata, last=9)}
        ids = dataset.item_vocabulary.ids
        write_item_vectors(dataset, "planted", ids, np.stack([np.arange(1, 4) ** (item % 5) for item in ids]))
        owners, means = mean_of_items(dataset, "planted")
        vectors = dict(zip(owners.tolist(), means.tolist(), strict=True))
        made.append((dict(zip(texts.ids, texts.texts, strict=True)), prompts, vectors))
    assert made[0] == made[1]
    assert set(made[0][2]) == set(TRAIN)
    assert "Big" not in json.dumps(made)  # item 15 is never trained on


def test_templates_by_hand(cinema: InteractionDataset) -> None:
    metadata = read_item_metadata(cinema)
    items = item_templates(cinema, metadata)
    assert dict(zip(items.ids, items.texts, strict=True)) == {
        10: "Heat (1995). Genres: Crime, Action.",
        11: "Elf (2003). Genres: Comedy.",
        12: "Alien (1979). Genres: Horror, Action.",
        13: "Up (2009). Genres: Comedy.",
        15: "Big. Genres: Comedy.",
    }  # item 14 has neither title nor genre
    users = user_templates(cinema, metadata, last=3)
    assert dict(zip(users.ids, users.texts, strict=True)) == {
        7: "Prefers Comedy (2 of 3), Action (1 of 3), Horror (1 of 3). Mostly from the 2000s. "
        "Latest choices: Up (2009); Alien (1979); Elf (2003).",
        8: "Prefers Action (2 of 2), Crime (1 of 2), Horror (1 of 2). Mostly from the 1990s. "
        "Latest choices: Heat (1995); Alien (1979).",
        9: "Prefers Comedy (1 of 3). Mostly from the 1990s. Latest choices: Elf (2003).",
    }
    assert users.provenance == "train_only"
    assert user_templates(cinema, metadata, last=3, skip_last=3).ids == [7]
    assert [prompt.id for prompt in item_prompts(cinema, metadata)] == items.ids


def test_provenance_is_that_of_this_training_split(cinema: InteractionDataset, tmp_path: Path) -> None:
    """Only texts that were made from this very split are vouched for; the means always are."""
    encoder = HashedEncoder(16)
    made = user_templates(cinema, read_item_metadata(cinema), last=3)
    for suffix in ("json", "parquet"):
        path = tmp_path / f"own.{suffix}"
        write_texts(path, made)
        document = encode_texts(cinema, "users", "own", path, encoder)
        assert (document["known"], document["missing"], document["provenance"]) == (3, 0, "train_only")
        own = read_user_vectors(cinema, "own")
        assert own.provenance == "train_only"
        index = cinema.vocabulary("user").lookup(made.ids)
        np.testing.assert_allclose(own.vectors[index], encoder.encode(made.texts), atol=1e-6)
        assert own.known.tolist() == [False, False, True, True, True]
    with pytest.raises(ConfigError, match="holds texts of users, not of items"):
        encode_texts(cinema, "items", "own", tmp_path / "own.json", encoder)
    foreign = tmp_path / "foreign.json"
    foreign.write_text(json.dumps({"7": "likes crime", "8": "  ", "99": "a stranger"}))
    document = encode_texts(cinema, "users", "foreign", foreign, encoder)
    assert (document["given"], document["known"], document["provenance"]) == (2, 1, "unknown")
    assert read_user_vectors(cinema, "foreign").provenance == "unknown"
    elsewhere = tmp_path / "elsewhere.json"
    elsewhere.write_text((tmp_path / "own.json").read_text().replace(made.training_data, "0" * 64))
    assert encode_texts(cinema, "users", "elsewhere", elsewhere, encoder)["provenance"] == "unknown"
    np.savez(tmp_path / "v.npz", ids=[10, 11, 12, 13], vectors=np.eye(4, dtype=np.float32))
    assert take_vectors(cinema, "items", "unit", tmp_path / "v.npz")["provenance"] == "unknown"
    assert take_means(cinema, "mean", "unit")["provenance"] == "train_only"
    mean = read_user_vectors(cinema, "mean")
    assert mean.provenance == "train_only"
    assert mean.source["item_vectors"] == "unit"
    # User 8 had 12 and 10 in training: the third and the first axis.
    np.testing.assert_allclose(
        mean.vectors[cinema.vocabulary("user").lookup([8])[0]], [0.5**0.5, 0, 0.5**0.5, 0], atol=1e-6
    )


def test_vectors_of_another_training_split_lose_their_mark(cinema: InteractionDataset, tmp_path: Path) -> None:
    take = tmp_path / "v.npz"
    np.savez(take, ids=[10, 11], vectors=np.eye(2, dtype=np.float32))
    take_vectors(cinema, "items", "two", take)
    take_means(cinema, "moved", "two")
    about = Path(cinema.path) / "user_vectors" / "moved.json"
    document = json.loads(about.read_text())
    about.write_text(json.dumps({**document, "training_data": "0" * 64}))
    assert read_user_vectors(cinema, "moved").provenance == "unknown"


@pytest.mark.parametrize("skip", [0, 1])
def test_skipping_the_last_event_hides_it(cinema: InteractionDataset, skip: int) -> None:
    """`Up` is the last training event of user 7 and is in nobody else's history."""
    texts = user_templates(cinema, read_item_metadata(cinema), last=9, skip_last=skip)
    assert any("Up" in text for text in texts.texts) == (skip == 0)


def test_the_audit_finds_texts_that_name_their_targets(
    cinema: InteractionDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Test targets are 10, 11 and 12 (Heat, Elf, Alien), valid ones 14 (no title), 13 and 10.

    Every text names its own test target and nothing else: of 3 texts 3, and none that of another user.
    """
    texts = Texts(["7", "8", "9", "99"], ["loves HEAT, the film", "an elf", "\u201calien\u201d", "Heat"])
    found = audit_user_texts(cinema, texts)
    assert found["texts"] == 3
    test = found["rows"]["test"]
    assert (test["n"], test["own"]) == (2, 1.0)  # `Elf` is too short to tell
    assert test["others"] == 0.0
    assert found["rows"]["valid"]["n"] == 1
    # Standard error sqrt(max(0, 1/2) / 2) = .5, hence an excess of 2: not clear with two texts.
    assert test["excess"] == pytest.approx(2.0)
    assert found["leaks"] == []
    monkeypatch.setattr("tfrec.text.text_audit._CLEAR", 1.9)
    assert audit_user_texts(cinema, texts)["leaks"] == ["test"]
    assert audit_user_texts(cinema, user_templates(cinema, read_item_metadata(cinema), last=9))["leaks"] == []
