from __future__ import annotations

import copy
import itertools
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import matplotlib
import pytest

from tests.evaluation.report import sample_run
from tests.evaluation.report.page_parser import PageParser
from tfrec.errors import ConfigError, DataError
from tfrec.evaluation.report.write_report import write_report

SECTIONS = [
    "overview", "accuracy", "learning", "ranks", "slices", "popularity", "similarity", "audit", "data", "provenance",
]  # fmt: skip
LOADING = {"script", "link", "iframe", "object", "embed", "img", "form", "base"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sample_run.write_run(tmp_path_factory.mktemp("runs") / "RUN")


@pytest.fixture(scope="module")
def html(run: Path) -> str:
    write_report(run, run / "report.html")
    return (run / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(html: str) -> PageParser:
    return PageParser(html)


def report_of(folder: Path, evaluation: dict[str, Any]) -> PageParser:
    run = sample_run.write_run(folder / "RUN", evaluation=evaluation, dataset=False)
    (run / "history.csv").unlink()
    write_report(run, folder / "report.html")
    return PageParser((folder / "report.html").read_text(encoding="utf-8"))


def one_protocol(**absent: Any) -> dict[str, Any]:
    """An evaluation whose model has, apart from its metrics, only what is given."""
    document = sample_run.evaluation_document()
    del document["protocols"][1]
    for model in document["protocols"][0]["models"].values():
        for key in list(model):
            if key not in ("role", "metrics") and key not in absent:
                del model[key]
    return document


def test_every_section_is_there_and_listed(page: PageParser) -> None:
    assert list(page.sections) == SECTIONS
    links = [value for tag, values in page.tags if tag == "a" and (value := values["href"])]
    assert [link for link in links if link != "#content"] == [f"#{name}" for name in SECTIONS]


def test_page_is_well_formed(page: PageParser) -> None:
    assert page.unbalanced == []
    assert page.open == []
    ids = page.attributes("id")
    assert len(ids) == len(set(ids))
    for target in page.attributes("aria-labelledby"):
        assert target in ids
    headings = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert headings.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(headings))
    assert ("html", {"lang": "en"}) in page.tags


def test_page_loads_nothing_and_runs_nothing(html: str, page: PageParser) -> None:
    assert {tag for tag, _ in page.tags}.isdisjoint(LOADING)
    assert "//" not in html
    assert "@import" not in html
    ids = page.attributes("id")
    targets = page.attributes("href")
    for name in ("style", "clip-path"):
        targets += [target for value in page.attributes(name) for target in re.findall(r"url\(([^)]*)\)", value)]
    assert len(targets) > len(SECTIONS)
    assert all(target.startswith("#") and target[1:] in ids for target in targets)
    assert page.attributes("src") == []
    assert not [name for _, values in page.tags for name in values if name.startswith("on")]
    assert any("default-src 'none'" in value for value in page.attributes("content"))


def test_page_is_small_and_fits_a_phone_in_the_dark(html: str, page: PageParser) -> None:
    assert len(html.encode()) < 1_500_000
    assert "width=device-width, initial-scale=1" in page.attributes("content")
    assert "prefers-color-scheme: dark" in html
    scrolling = [values for tag, values in page.tags if tag == "div" and values.get("class") == "scroll"]
    assert len(scrolling) == [tag for tag, _ in page.tags].count("table")
    assert all(values["tabindex"] == "0" and values["aria-label"] for values in scrolling)


def test_figures_say_what_they_show(page: PageParser) -> None:
    counts = {name: len(texts) for name, texts in page.figures.items()}
    assert counts == {
        "overview": 0, "accuracy": 4, "learning": 4, "ranks": 2, "slices": 3, "popularity": 2, "similarity": 1,
        "audit": 1, "data": 0, "provenance": 0,
    }  # fmt: skip
    assert page.figures["accuracy"][0] == (
        "hit@10 by model: popularity 0.0300; markov 0.0670; sasrec 0.0873; chance 0.0500"
    )
    assert page.figures["learning"][1].startswith("Valid ndcg@10 by epoch: valid_ndcg@10 from 0.06 in epoch 1")
    labels = ["epoch", "training loss", "events/s", "rank of the target (logarithmic)", "share of targets"]
    labels += ["hit@10 (higher is better)", "cosine of state and item vector", "time of the events (UTC)"]
    assert [label for label in labels if label not in page.text] == []


def test_numbers_of_metrics_json_are_in_the_table(run: Path, page: PageParser) -> None:
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    main, complete = page.tables["accuracy"][0], page.tables["accuracy"][3]
    rows = {"sasrec": metrics["test"], **metrics["baselines"], "chance": metrics["chance"]}
    for name, values in rows.items():
        for metric in ("hit@1", "hit@5", "hit@10", "hit@20", "ndcg@10", "ndcg@20", "mrr"):
            assert main.cell(name, metric) == f"{values[metric]:.4f}"
        for family in ("recall", "mrr", "ndcg", "hit"):
            for cutoff in sample_run.CUTOFFS:
                assert complete.cell(f"{family}@{cutoff}", name) == f"{values[f'{family}@{cutoff}']:.4f}"
        assert main.cell(name, "avg_rank") == f"{values['avg_rank']:.1f}"
    assert list(main.rows) == ["popularity", "markov", "sasrec", "chance"]


def test_intervals_and_differences(page: PageParser) -> None:
    main, differences = page.tables["accuracy"][:2]
    # 0.0873 * 0.95 = 0.0829, 0.0873 * 1.05 = 0.0917
    assert main.note("sasrec", "hit@10") == "0.0829\N{EN DASH}0.0917"
    assert main.note("chance", "hit@10") == ""
    assert "95 % bootstrap interval (1,000 resamples of users)" in main.caption
    # 0.0873 - 0.0670 = 0.0203, +- 0.004
    assert differences.cell("minus markov", "hit@10") == "+0.0203"
    assert differences.note("minus markov", "hit@10") == "+0.0163 to +0.0243; p < 0.001"
    # avg_rank 93.81 against 99.9
    assert differences.cell("minus markov", "avg_rank") == "-6.1"
    assert "the interval of the difference, +0.0163 to +0.0243, excludes zero" in page.sections["overview"]


def test_protocols_are_labelled(page: PageParser) -> None:
    full, sampled = page.tables["accuracy"][0], page.tables["accuracy"][4]
    assert full.caption.startswith("full ranking, history excluded, 1,000 targets of test, 200 candidates, ")
    assert sampled.caption.startswith("sampled ranking, 99 uniform negatives, 1,000 targets of test, 100 candidates")
    # 0.0873 * 3
    assert sampled.cell("sasrec", "hit@10") == "0.2619"


def test_alarms_and_leaks_come_before_the_numbers(page: PageParser) -> None:
    text = page.sections["overview"]
    assert page.tables["data"][0].cell("test", "last event (UTC)") == "2022-11-07 00:00"  # 19,303 days after 1970
    alarm = text.index("Alarm: every user gets the same list")
    leak = text.index("Leak: 1 kind of leak between the splits")
    split = text.index("Split: leave_one_out: leaks across users in time")
    assert alarm < leak < split < text.index("0.0873")
    assert "share 97 % of their items" in text
    assert "consumed later, in train (40.8\N{NO-BREAK SPACE}%)" in text
    findings = page.tables["audit"][0]
    assert [row[0] for row in findings.rows.values()] == ["leak", "note", "ok"]
    assert findings.cell("users with events in several splits", "count") == "1,000"


def test_slices_popularity_and_similarity(page: PageParser) -> None:
    popularity, activity, age = page.tables["slices"]
    # 0.0873 * 1.4, 0.0873 * 0.3
    assert popularity.cell("head", "hit@10") == "0.1222"
    assert popularity.cell("tail", "hit@10") == "0.0262"
    assert popularity.note("head", "targets") == "40.0\N{NO-BREAK SPACE}%"
    assert list(activity.rows) == ["few", "some", "many"]
    assert age.cell("unseen", "targets") == "0"
    assert age.cell("unseen", "hit@10") == "\N{EN DASH}"
    lists = page.tables["popularity"][0]
    # gini = 1 - 2 * 0.0873, coverage = 4 * 0.0873
    assert lists.cell("sasrec", "gini@10") == "0.825"
    assert lists.cell("sasrec", "coverage@10") == "34.9\N{NO-BREAK SPACE}%"
    assert "0.538 ± 0.192" in page.sections["similarity"]
    assert "93.4" in page.sections["similarity"]


def test_ranks_add_up(page: PageParser) -> None:
    table = page.tables["ranks"][0]
    # sasrec: 22, 13, 26, 26 and 35 of 1,000 targets within ranks 1, 2, 3-5, 6-10, 11-20
    assert table.cell("sasrec", "top 1") == "2.2\N{NO-BREAK SPACE}%"
    assert table.cell("sasrec", "top 10") == "8.7\N{NO-BREAK SPACE}%"
    assert table.cell("sasrec", "top 20") == "12.2\N{NO-BREAK SPACE}%"
    # chance: 10 of 200 candidates
    assert table.cell("chance", "top 10") == "5.0\N{NO-BREAK SPACE}%"
    assert "10 targets are no candidates" in page.sections["ranks"]


def test_provenance_is_folded(page: PageParser) -> None:
    assert [tag for tag, _ in page.tags].count("details") == 2 + 1 + 3
    assert not [values for tag, values in page.tags if tag == "details" and "open" in values]
    text = page.sections["provenance"]
    assert "name: sasrec" in text
    assert '"processor": "Some CPU"' in text
    assert "train.py --model sasrec --data /data/beauty" in text
    assert page.tables["data"][0].cell("test", "targets") == "1,000"


def test_same_input_same_bytes(run: Path, html: str, tmp_path: Path) -> None:
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red"}):
        write_report(run, tmp_path / "again.html")
        assert matplotlib.rcParams["font.size"] == 30
    assert (tmp_path / "again.html").read_text(encoding="utf-8") == html


@pytest.mark.parametrize("part", [(), ("rank_histogram",), ("slices",), ("lists",), ("similarity",), ("scores",)])
def test_absent_parts_are_left_out(part: tuple[str, ...], tmp_path: Path) -> None:
    evaluation = one_protocol(**dict.fromkeys(part))
    evaluation["audit"] = None
    page = report_of(tmp_path, evaluation)
    names = {"rank_histogram": "ranks", "lists": "popularity", "scores": "similarity"}
    extra = [names.get(name, name) for name in part]
    assert list(page.sections) == [name for name in SECTIONS if name in ("overview", "accuracy", "provenance", *extra)]
    assert "Caution: No leak audit" in page.sections["overview"]
    assert "bootstrap" not in page.sections["accuracy"]


def test_clean_run_says_so(tmp_path: Path) -> None:
    evaluation = one_protocol()
    evaluation["alarms"] = []
    evaluation["dataset"]["rule"] = "global_time"
    for finding in evaluation["audit"]["findings"]:
        finding["level"] = "ok"
    evaluation["audit"] |= {"clean": True, "rule": "global_time", "note": "nobody sees the future"}
    page = report_of(tmp_path, evaluation)
    classes = [value for value in page.attributes("class") if value.startswith("notice")]
    assert classes == ["notice fine"] * 3
    assert "No alarm" in page.sections["overview"]


def test_skipped_audit_is_not_a_clean_one(tmp_path: Path) -> None:
    evaluation = one_protocol()
    evaluation["audit"] |= {"findings": [], "skipped": "no timestamps"}
    page = report_of(tmp_path, evaluation)
    assert "Caution: The leak audit was skipped" in page.text
    assert "no timestamps" in page.text


def test_losing_model_is_called_behind(tmp_path: Path) -> None:
    evaluation = one_protocol()
    evaluation["protocols"][0]["models"]["markov"]["metrics"]["hit@10"] = 0.0973
    page = report_of(tmp_path, evaluation)
    # 0.0873 - 0.0973 = -0.01; -0.01 / 0.0973 = -10.3 %
    assert "sasrec is behind the best baseline, markov, by 0.0100 hit@10 (-10.3\N{NO-BREAK SPACE}%)." in page.text


def test_vectors_of_users_come_before_next_items(tmp_path: Path) -> None:
    names = ("user_recall@1", "user_recall@10", "user_mrr", "pairwise_accuracy", "own_cosine", "other_cosine", "gap")
    levels = {"sasrec": ("model", 0.1234), "mean_pooling": ("baseline", 0.2345), "item_counts": ("baseline", 0.2222)}
    models = {
        name: {"role": role, "metrics": dict.fromkeys(names, level), "intervals": {}}
        for name, (role, level) in levels.items()
    }
    section = {"split": "test", "users": 40, "chance": {"user_recall@10": 0.25}, "models": models}
    overview = report_of(tmp_path, {**one_protocol(), "users": section}).sections["overview"]
    places = [overview.index(text) for text in ("user_recall@10", "0.1234", "mean_pooling", "0.2345", "hit@10")]
    assert "item_counts" not in overview
    assert places[1:] == sorted(places[1:])
    assert "Few users are compared" in overview
    assert "With 40 users chance alone has user_recall@10 0.25" in overview
    assert "Next items, a by-product of this model: measured on" in overview


def test_unmeasured_values_are_dashes(tmp_path: Path) -> None:
    evaluation = one_protocol()
    evaluation["protocols"][0]["models"]["sasrec"]["metrics"] |= {"hit@10": None, "ndcg@20": float("nan")}
    table = report_of(tmp_path, evaluation).tables["accuracy"][0]
    assert table.cell("sasrec", "hit@10") == "\N{EN DASH}"
    assert table.cell("sasrec", "ndcg@20") == "\N{EN DASH}"


def test_run_without_evaluation_file_uses_metrics_json(run: Path, tmp_path: Path) -> None:
    old = sample_run.write_run(tmp_path / "OLD")
    (old / "evaluation.json").unlink()
    write_report(old, tmp_path / "report.html")
    page = PageParser((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert list(page.sections) == ["overview", "accuracy", "learning", "audit", "data", "provenance"]
    assert page.tables["accuracy"][0].cell("sasrec", "hit@10") == "0.0873"
    assert "num_targets" not in page.sections["accuracy"]


def test_given_evaluation_replaces_the_one_of_the_run(run: Path, tmp_path: Path) -> None:
    evaluation = one_protocol() | {"split": "valid", "alarms": []}
    evaluation["protocols"][0]["models"]["sasrec"]["metrics"]["hit@10"] = 0.4321
    before = copy.deepcopy(evaluation)
    write_report(run, tmp_path / "report.html", evaluation=evaluation)
    assert evaluation == before
    page = PageParser((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert page.tables["accuracy"][0].cell("sasrec", "hit@10") == "0.4321"
    assert "targets of valid" in page.tables["accuracy"][0].caption


def test_run_before_its_evaluation(tmp_path: Path) -> None:
    run = sample_run.write_run(tmp_path / "RUN")
    (run / "evaluation.json").unlink()
    (run / "metrics.json").unlink()
    write_report(run, tmp_path / "new" / "report.html")
    page = PageParser((tmp_path / "new" / "report.html").read_text(encoding="utf-8"))
    assert list(page.sections) == ["overview", "learning", "audit", "data", "provenance"]
    assert "The run has not been evaluated" in page.text


def test_other_data_set_is_not_described(tmp_path: Path) -> None:
    run = sample_run.write_run(tmp_path / "RUN")
    manifest = sample_run.dataset_manifest()
    manifest["splits"]["test"]["shards"][0]["sha256"] = "99"
    (run / "dataset" / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    write_report(run, tmp_path / "report.html")
    assert "reviews.parquet" not in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_positions_are_not_shown_as_dates(tmp_path: Path) -> None:
    run = sample_run.write_run(tmp_path / "RUN")
    manifest = sample_run.dataset_manifest() | {"last_time": 204}
    for split in manifest["splits"].values():
        split |= {"first_time": 0, "last_time": 204}
    (run / "dataset" / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    write_report(run, tmp_path / "report.html")
    page = PageParser((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert page.figures["audit"] == []
    assert page.tables["data"][0].cell("test", "last position") == "204"
    assert "1970" not in page.text


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    hostile = "</title><script>alert(1)</script><img src=x onerror=alert(2)>\"'`<b>`$\\frac{$ {{7*7}} _x \N{SNOWMAN}"
    evaluation = one_protocol(slices=1, rank_histogram=1, lists=1, intervals=1, difference=1)
    protocol = evaluation["protocols"][0]
    models = protocol["models"]
    protocol["models"] = {f"_{hostile}": models["markov"], hostile: models["sasrec"]}
    protocol |= {"label": hostile, "description": hostile}
    own = models["sasrec"]
    own["slices"][0] |= {"name": hostile, "description": hostile}
    own["slices"][0]["rows"][0] |= {"name": hostile, "description": hostile}
    own["lists"]["shares"]["buckets"][0] = hostile
    evaluation |= {"model": hostile, "data": f"/data/{hostile}", "split": hostile}
    evaluation["alarms"][0] |= dict.fromkeys(("name", "model", "message", "protocol"), hostile)
    evaluation["audit"] |= {"rule": hostile, "note": hostile}
    evaluation["audit"]["findings"][1] |= {"label": hostile, "explanation": hostile}
    run = sample_run.write_run(tmp_path / "a<b>&`run`", evaluation=evaluation)
    (run / "config.yaml").write_text(f"name: {hostile}\n", encoding="utf-8")
    history = ['epoch,loss,"<script>@10"', "1,2.5,0.5", "2,<script>,0.6"]
    (run / "history.csv").write_text("\n".join(history) + "\n", encoding="utf-8")
    manifest = json.loads((run / "manifest.json").read_text(encoding="utf-8"))
    manifest |= {
        "created": hostile,
        "command": [hostile],
        "seed": hostile,
        "commit": hostile,
        "versions": {"<i>": "<i>"},
    }
    (run / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    write_report(run, tmp_path / "report.html")
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    page = PageParser(html)
    assert {tag for tag, _ in page.tags} & {"script", "img", "b", "i"} == set()
    assert page.unbalanced == []
    assert page.open == []
    assert not [name for _, values in page.tags for name in values if name.startswith("on")]
    assert f"name: {hostile}" in page.sections["provenance"]
    assert list(page.tables["accuracy"][0].rows) == [f"_{hostile}", hostile, "chance"]


def test_damaged_and_missing_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"Not a run directory.*config\.yaml"):
        write_report(tmp_path, tmp_path / "report.html")
    run = sample_run.write_run(tmp_path / "RUN", evaluation=one_protocol())
    with pytest.raises(ConfigError, match=r"config\.yaml/report\.html` cannot be written.*Name another file"):
        write_report(run, run / "config.yaml" / "report.html")
    (run / "metrics.json").write_text("{", encoding="utf-8")
    with pytest.raises(DataError, match=r"metrics\.json.*not JSON"):
        write_report(run, tmp_path / "report.html")
    (run / "metrics.json").write_text("[1]", encoding="utf-8")
    with pytest.raises(DataError, match="does not hold a JSON object"):
        write_report(run, tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_needs_no_tensorflow() -> None:
    code = "import sys, tfrec.evaluation.report.write_report; print('tensorflow' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "False"
