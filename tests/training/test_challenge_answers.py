"""Answers of the challenge: exact lists, aligned files, the published score."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.harness.tiny_run import tiny_run
from tfrec.command import run_command
from tfrec.data.competition.vector_files import read_fbin, read_u64bin, write_fbin, write_u64bin
from tfrec.data.dataset import InteractionDataset
from tfrec.errors import DataError
from tfrec.evaluation.challenge_score import challenge_score
from tfrec.tencentgr import main as tencentgr
from tfrec.training import challenge_answers
from tfrec.training.challenge_answers import answer_challenge, best_candidates, read_truth, score_answers


def test_bytes_of_the_vector_files(tmp_path: Path) -> None:
    write_fbin(tmp_path / "v.fbin", np.array([[1.5, -2.0, 0.25]]))
    assert (tmp_path / "v.fbin").read_bytes() == struct.pack("<IIfff", 1, 3, 1.5, -2.0, 0.25)
    write_u64bin(tmp_path / "i.u64bin", np.array([2**40, 7]))
    assert (tmp_path / "i.u64bin").read_bytes() == struct.pack("<IIQQ", 2, 1, 2**40, 7)
    assert read_fbin(tmp_path / "v.fbin").tolist() == [[1.5, -2.0, 0.25]]
    assert read_u64bin(tmp_path / "i.u64bin").tolist() == [2**40, 7]
    (tmp_path / "v.fbin").write_bytes(struct.pack("<IIff", 1, 3, 1.5, -2.0))
    with pytest.raises(DataError, match="16 bytes, its header says 1 rows of 3"):
        read_fbin(tmp_path / "v.fbin")
    with pytest.raises(DataError, match="-1 is negative"):
        write_u64bin(tmp_path / "i.u64bin", np.array([-1]))


def test_the_score_of_published_results() -> None:
    """Hit rates and gains of three submissions, and the scores that they got."""
    published = [
        (0.0830917, 0.0431958, 0.0555635),
        (0.0803857, 0.0418228, 0.0537773),
        (0.0767374, 0.0395379, 0.0510698),
    ]
    for hit, gain, score in published:
        assert 0.31 * hit + 0.69 * gain == pytest.approx(score, abs=1e-7)
    # Of four users one is hit at the first place, one at the third (gain 1 / log2(4)).
    found = challenge_score(np.array([0, -1, 2, 11]))
    assert (found["hit@10"], found["ndcg@10"]) == (0.5, 0.375)
    assert found["score"] == pytest.approx(0.31 * 0.5 + 0.69 * 0.375)
    assert found["score_low"] < found["score"] < found["score_high"]


def test_lists_are_exact_whatever_the_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(challenge_answers, "_CANDIDATES_AT_ONCE", 7)
    random = np.random.default_rng(0)
    queries, vectors = (random.normal(size=(n, 5)).astype(np.float32) for n in (6, 40))
    indices = random.permutation(40) + 2
    seen = random.integers(0, 42, (6, 9)).astype(np.int32)
    found = best_candidates(queries, vectors, indices, seen, k=4)
    scores = queries.astype(np.float64) @ vectors.T
    for row in range(6):
        scores[row, np.isin(indices, seen[row])] = -np.inf
    np.testing.assert_array_equal(found, np.argsort(-scores, axis=1)[:, :4])
    assert best_candidates(queries, vectors[:2], indices[:2], seen[:, :0], k=4).shape == (6, 2)


def test_what_is_left_out_does_not_come_back_where_few_are_left() -> None:
    vectors = np.array([[1.0], [3.0], [2.0]], np.float32)
    seen = np.array([[7, 9], [0, 0], [8, 5]], np.int32)
    found = best_candidates(np.ones((3, 1), np.float32), vectors, np.array([7, 8, 9]), seen, k=2)
    assert found.tolist() == [[1, -1], [1, 2], [2, 0]]


@pytest.mark.parametrize(
    ("flags", "code", "words"),
    [
        (["generate", "--from", "x"], 2, "`--from` has no effect on `generate`"),
        (["infer", "--from", "x", "--run", "y", "--semantic-ids"], 2, "`--semantic-ids` has no effect on `infer`"),
        (["prepare", "--from", "x", "--truth", "y"], 2, "it is of infer"),
        (["infer", "--from", "x", "--run", "y", "--truth", "no.jsonl"], 3, "no.jsonl"),
        (["infer", "--from", "x", "--run", "y"], 3, "model.json"),
        (["prepare", "--from", "x", "--users", "30"], 2, "`--users` has no effect on `prepare`"),
        (["infer", "--from", "x", "--run", "y", "--vectors", "81"], 2, "`--vectors` has no effect on `infer`"),
        (["generate", "--codes", "64,64,64"], 2, "it is of prepare"),
        (["prepare", "--from", "x", "--codes", "64,64,64"], 2, "`--codes` is about semantic ids"),
    ],
)
def test_flags_without_effect_are_refused_before_the_work(
    flags: list[str], code: int, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(tencentgr, [*flags, "--output", str(tmp_path / "out")]) == code
    assert words in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "out").exists()


def test_from_raw_files_to_answers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    raw, data, run, output = (tmp_path / name for name in ("raw", "data", "run", "answers"))
    steps = [
        ["generate", "--output", str(raw), "--users", "40", "--test-users", "15", "--items", "60"],
        ["prepare", "--from", str(raw), "--output", str(data)],
    ]
    for step in steps:
        assert run_command(tencentgr, step) == 0
    dataset = InteractionDataset.open(data / "dataset")
    model = tiny_run(run, "hstu", dataset, item_vectors=["81"], user_features=True, similarity="cosine")
    capsys.readouterr()
    infer = ["infer", "--run", str(run), "--from", str(data), "--output", str(output)]
    assert run_command(tencentgr, [*infer, "--truth", str(raw / "truth.jsonl"), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["users"], document["candidates_per_user"]) == (15, 10)
    assert document["remarks"] == [
        "The model reads the time of the request: that of the latest event of each user was taken."
    ]

    queries, vectors, retrieval = (
        read_fbin(output / "query.fbin"),
        read_fbin(output / "embedding.fbin"),
        read_u64bin(output / "id.u64bin"),
    )
    candidates = pq.read_table(data / "candidates.parquet").to_pandas()
    assert retrieval.tolist() == candidates["retrieval_id"].tolist()
    np.testing.assert_allclose(np.linalg.norm(queries, axis=1), 1.0, atol=1e-5)
    index = dataset.item_vocabulary.lookup(candidates["item_id"].to_numpy())
    np.testing.assert_allclose(vectors, model.item_table()[0].numpy()[index], atol=1e-6)
    # The lists, by hand from the files.
    events = pq.read_table(data / "predict.parquet").to_pandas()
    results = [json.loads(line) for line in (output / "result.jsonl").open()]
    truth = {record["user_id"]: record["creative_id"] for record in map(json.loads, (raw / "truth.jsonl").open())}
    gains, cold = [], []
    trained = set(
        pq.read_table(data / "events.parquet")
        .to_pandas()
        .groupby("user_id")["item_id"]
        .apply(lambda items: items.tolist()[:-2])
        .explode()
        .dropna()
    )
    for number, (user, own) in enumerate(events.groupby("user_id", sort=False)):
        scores = vectors.astype(np.float64) @ queries[number]
        recent = own["item_id"].tolist()[-model.history_window :]
        best = [item for item in candidates["item_id"].to_numpy()[np.argsort(-scores)] if item not in recent][:10]
        assert results[number] == {"user_id": user, "top10": best}
        cold.append(truth[user] not in trained)
        gains.append(1 / np.log2(best.index(truth[user]) + 2) if truth[user] in best else 0.0)
    hits = float(np.mean(np.array(gains) > 0))
    assert document["score"] == pytest.approx(0.31 * hits + 0.69 * float(np.mean(gains)))
    assert document["cold_users"] == sum(cold) > 0
    assert document["cold_ndcg@10"] == pytest.approx(np.array(gains)[np.array(cold)].mean())

    # New creatives among themselves: the best of those without training events, which here are fewer than ten.
    new = [*infer[:-1], str(tmp_path / "new"), "--only-cold", "--truth", str(raw / "truth.jsonl"), "--json"]
    assert run_command(tencentgr, new) == 0
    document = json.loads(capsys.readouterr().out)
    fresh = np.array([item not in trained for item in candidates["item_id"]])
    assert 0 < fresh.sum() < 10
    assert document["candidates_per_user"] == fresh.sum()
    for number, line in enumerate((tmp_path / "new" / "result.jsonl").open()):
        scores = vectors[fresh].astype(np.float64) @ queries[number]
        assert json.loads(line)["top10"] == candidates["item_id"].to_numpy()[fresh][np.argsort(-scores)].tolist()
    assert document["cold_hit@10"] == 1.0  # all fresh ones are listed, and a cold truth is one of them

    # Mistakes leave earlier answers and prepared data as they are.
    for wrong, code, words in (
        (["--from", str(tmp_path / "nowhere"), "--output", str(output)], 3, "nowhere"),
        (["--from", str(data), "--test-from", str(tmp_path / "nowhere"), "--output", str(output)], 3, "nowhere"),
        (["--from", str(data), "--test-from", str(raw), "--output", str(data)], 2, "among the prepared data"),
    ):
        assert run_command(tencentgr, ["infer", "--run", str(run), *wrong]) == code
        assert words in capsys.readouterr().err
    assert [json.loads(line) for line in (output / "result.jsonl").open()] == results
    assert not (data / "result.jsonl").exists()

    # Other test users, of whom the data know nothing: two of the old ones under new names, and one without any event;
    # of the candidates one is unknown, and one is listed again.
    other = tmp_path / "other"
    other.mkdir()
    listed = (raw / "predict_set.jsonl").read_text().splitlines(keepends=True)
    more = [json.dumps({"creative_id": 3, "retrieval_id": 8, "features": {}}) + "\n", listed[0]]
    (other / "predict_set.jsonl").write_text("".join([*listed, *more]))
    lines = (raw / "predict_seq.jsonl").read_text().splitlines()[:2]
    strangers = [line.replace("user_", "stranger_") for line in lines] + ['[["nobody", null, {}, null, null, 5]]']
    (other / "predict_seq.jsonl").write_text("".join(f"{line}\n" for line in strangers))
    answers = ["--output", str(tmp_path / "others"), "--test-from", str(other), "--json"]
    assert run_command(tencentgr, [*infer[:-2], *answers]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["users"] == 3
    assert [text.split()[0] for text in document["remarks"]] == ["1", "1", "The"]
    names = [json.loads(line)["user_id"] for line in (tmp_path / "others" / "result.jsonl").open()]
    assert names == [*(record["user_id"].replace("user_", "stranger_") for record in results[:2]), "nobody"]
    assert read_fbin(tmp_path / "others" / "embedding.fbin").tolist() == vectors.tolist()
    strange = read_fbin(tmp_path / "others" / "query.fbin")
    assert np.abs(strange[:2] - queries[:2]).max() > 1e-4  # their profiles are not known

    # A model that is told no profiles gives someone without events what is most popular.
    tiny_run(tmp_path / "untold", "gru_encoder", dataset)
    found = answer_challenge(tmp_path / "untold", data, tmp_path / "others", test=other)
    order = dataset.item_vocabulary.lookup(candidates["item_id"].to_numpy())
    popular = candidates["item_id"].to_numpy()[np.argsort(-dataset.item_vocabulary.counts[order], kind="stable")]
    assert found.top10s[2] == popular[:10].tolist()
    assert found.remarks[-1].startswith("1 users have no item that the data know")

    truth_file = raw / "truth.jsonl"
    for text, words in (
        ("", "no user to score"),
        ('{"user_id": "x", "creative_id": "17"}\n', "row 1: `user_id` must be a text and `creative_id` a whole"),
        ('{"user_id": ["x"], "creative_id": 17}\n', "row 1: `user_id` must be a text and `creative_id` a whole"),
        ('{"user_id": "nobody", "creative_id": 1}\n{"user_id": 3}\n', "row 2: Not a JSON object with `user_id` and"),
    ):
        truth_file.write_text(text)
        with pytest.raises(DataError, match=words):
            read_truth(truth_file)
    unwritten = ["--output", str(tmp_path / "never"), "--truth", str(truth_file)]
    assert run_command(tencentgr, [*infer[:-2], *unwritten]) == 3  # before any answer
    assert "row 2: Not a JSON object" in capsys.readouterr().err
    truth_file.write_bytes(b'{"user_id": "\xff", "creative_id": 1}\n')
    assert run_command(tencentgr, [*infer[:-2], *unwritten]) == 3
    assert "row 1: Not a JSON object" in capsys.readouterr().err
    truth_file.write_text('{"user_id": "x", "creative_id": 1}\n')
    assert run_command(tencentgr, [*infer[:-2], *unwritten]) == 3
    assert "row 1: The user `x` is not in" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "never").exists()
    with pytest.raises(DataError, match="row 1: The user `x` is not in"):
        score_answers(tmp_path / "others", read_truth(truth_file), data)

    def full(*_: object) -> None:
        raise OSError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr("tfrec.training.challenge_answers.write_u64bin", full)
        with pytest.raises(OSError, match="full"):
            answer_challenge(run, data, output)
    assert not (output / "result.jsonl").exists()  # older answers do not stand beside files of another run
    assert run_command(tencentgr, infer) == 0

    pq.write_table(pq.read_table(data / "predict.parquet").slice(0, 0), data / "predict.parquet")
    assert run_command(tencentgr, infer) == DataError.exit_code
    assert "no test users" in capsys.readouterr().err
    assert [json.loads(line) for line in (output / "result.jsonl").open()] == results
