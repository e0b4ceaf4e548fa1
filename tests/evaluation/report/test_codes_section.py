"""The report of semantic ids and of similarities by epoch: their parts from the files of a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.evaluation.report.sample_run import write_run
from tfrec.evaluation.report.blocks import Charts, Facts, Notice, Paragraph, Table
from tfrec.evaluation.report.codes_section import codes_section
from tfrec.evaluation.report.experts_section import experts_section
from tfrec.evaluation.report.learning_section import learning_section
from tfrec.evaluation.report.overview_section import overview_section
from tfrec.evaluation.report.run_documents import read_run


def health(perplexity: float, used: float, collisions: float) -> dict[str, Any]:
    level = {"size": 16, "used": used, "perplexity": perplexity, "largest": 0.125}
    return {"items": 1234, "levels": [level, {**level, "used": 1.0}], "collisions": collisions, "largest_group": 7}


def test_the_health_of_the_codes_is_shown(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    assert codes_section(read_run(run)) is None
    epochs = [
        {"epoch": 1, "total": 3.0},
        {"epoch": 2, "total": 2.0, "health": health(4.0, 0.5, 0.3)},
        {"epoch": 3, "total": 1.0, "health": health(12.0, 0.75, 0.1)},
    ]
    (run / "semantic_ids.json").write_text(json.dumps({**health(12.0, 0.75, 0.0625), "epochs": epochs}))
    section = codes_section(read_run(run))
    assert section is not None
    [facts] = [block for block in section.blocks if isinstance(block, Facts)]
    assert [value for _, value, _ in facts.entries] == ["1,234", "6.2\N{NO-BREAK SPACE}%", "7"]
    [table] = [block for block in section.blocks if isinstance(block, Table)]
    first = table.rows[0].cells
    assert [cell.text for cell in first] == ["16", "75.0\N{NO-BREAK SPACE}%", "12.0", "12.5\N{NO-BREAK SPACE}%"]
    assert (first[1].tone, table.rows[1].cells[1].tone) == ("alarm", "")
    [charts] = [block.charts for block in section.blocks if isinstance(block, Charts)]
    # Perplexity 4 and 12 of 16 codes.
    said = [chart.caption.replace("\N{NO-BREAK SPACE}", " ") for chart in charts]
    assert "Level 1 from 25.0 % to 75.0 %" in said[0]
    assert "from 30.0 % in the first epoch with codes to 10.0 %" in said[1]
    [caution] = _cautions(run)
    assert caution.title.replace("\N{NO-BREAK SPACE}", " ").endswith("are not used (level 1: 75.0 % of 16)")
    assert "smaller codebooks" in caution.text
    assert "assignment=balanced" in caution.text
    (run / "semantic_ids.json").write_text(json.dumps({**health(12.0, 0.75, 0.0625), "items": 15}))
    [caution] = _cautions(run)
    assert "balanced" not in caution.text  # 15 items cannot use 16 codes
    (run / "semantic_ids.json").write_text(json.dumps({**health(12.0, 0.95, 0.0625), "epochs": epochs}))
    assert _cautions(run) == []


def _cautions(run: Path) -> list[Notice]:
    notices = [block for block in overview_section(read_run(run)).blocks if isinstance(block, Notice)]
    return [notice for notice in notices if "semantic ids" in notice.title]


def test_similarities_are_one_chart(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    lines = (run / "history.csv").read_text().splitlines()
    names = "positive_similarity,negative_similarity,similarity_gap"
    rows = [f"{line},0.{n}5,0.1,0.{n}" for n, line in enumerate(lines[1:], start=2)]
    (run / "history.csv").write_text("\n".join([f"{lines[0]},{names}", *rows]) + "\n")
    section = learning_section(read_run(run))
    assert section is not None
    charts = [chart for block in section.blocks if isinstance(block, Charts) for chart in block.charts]
    [chart] = [chart for chart in charts if "imilarity" in chart.title]
    assert "positive_similarity from 0.25 in epoch 1 to 0.75 in epoch 6" in chart.svg
    assert "similarity_gap from 0.2" in chart.svg
    assert "with drop-out" in chart.caption  # why the last point is not what the trained model has


def test_stages_are_named_at_the_curves_and_not_drawn_as_one(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    lines = (run / "history.csv").read_text().splitlines()
    assert len(lines) == 7  # six epochs
    rows = [f"{line},{1 if n < 4 else 3},0.{n},0.{9 - n}" for n, line in enumerate(lines[1:])]
    (run / "history.csv").write_text("\n".join([f"{lines[0]},stage,expert_words,valid_mrr@5", *rows]) + "\n")
    metrics = json.loads((run / "metrics.json").read_text())
    metrics["train"] = {"epochs": 6, "loss": 1.0, "stages": {"first": {}, "second": {"skipped": "off"}, "third": {}}}
    (run / "metrics.json").write_text(json.dumps(metrics))
    (run / "expert_usage.json").write_text(json.dumps({"epochs": [{"epoch": 1, "layers": {}}]}))
    section = learning_section(read_run(run))
    assert section is not None
    charts = {chart.title: chart for block in section.blocks if isinstance(block, Charts) for chart in block.charts}
    assert not {"Stage", "Expert words"} & set(charts)
    assert charts["Loss"].caption.startswith("Epochs of the stages: first 1 to 4, third 5 to 6. Each has a loss")
    # The best value of all stages, 0.9 in epoch 1, is not that of the weights that are kept.
    assert charts["Valid mrr@5"].caption == "Epochs of the stages: first 1 to 4, third 5 to 6."
    assert not [block for block in section.blocks if isinstance(block, Paragraph)]  # `loss` is the only one
    assert "best" not in str([block for block in section.blocks if isinstance(block, Facts)])


def test_experts_and_losses_of_stages_are_explained_where_they_are_shown(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    lines = (run / "history.csv").read_text().splitlines()
    rows = [f"{line},1,0.{n},0.{n},0.5" for n, line in enumerate(lines[1:])]
    names = "stage,retriever_loss,consistency_loss,expert_preferences"
    (run / "history.csv").write_text("\n".join([f"{lines[0]},{names}", *rows]) + "\n")
    metrics = json.loads((run / "metrics.json").read_text())
    metrics["train"] = {"epochs": 6, "loss": 1.0, "stages": {"end_to_end": {}}}
    (run / "metrics.json").write_text(json.dumps(metrics))
    router = {"shares": [0.7, 0.3], "entropy": 0.88, "max_min": 2.3, "names": ["preferences", "embeddings"]}
    (run / "expert_usage.json").write_text(json.dumps({"epochs": [{"epoch": 1, "layers": {"router": router}}]}))
    found = {}
    for make in (learning_section, experts_section):
        section = make(read_run(run))
        assert section is not None
        [found[make]] = [block.text for block in section.blocks if isinstance(block, Paragraph)]
    assert "retriever_loss: finding the next items, by the retriever" in found[learning_section]
    assert "consistency_loss: distance between text and learned vector" in found[learning_section]
    assert "fused" not in found[learning_section]
    assert "preferences: looks at the text of the user" in found[experts_section]
    assert "embeddings: looks at the learned vectors" in found[experts_section]
    assert "descriptions" not in found[experts_section]
