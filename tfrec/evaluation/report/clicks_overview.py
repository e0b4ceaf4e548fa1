"""What to know first of a click model: its figures beside the click rate as a prediction, and a verdict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfrec.evaluation.report.blocks import Notice
from tfrec.evaluation.report.numbers import count_text, interval_text, known, metric_text, share_text
from tfrec.evaluation.report.run_documents import RunDocuments

_CHANCE = 0.5


def click_cautions(run: RunDocuments) -> list[Notice]:
    """Returns what makes predictions no probabilities, or metrics no numbers."""
    title = "Read these numbers with care"
    return [Notice("warning", "Caution", title, str(text)) for text in run.evaluation.get("cautions") or []]


def click_figures(run: RunDocuments) -> list[tuple[str, str, str]]:
    """Returns name, value and note of what a click model is judged by, as far as it was measured."""
    own, prior = _metrics(run)
    if not own:
        return []
    interval = interval_text("auc", auc_bounds(own))
    facts = [("AUC", metric_text("auc", own.get("auc")), ", ".join(part for part in (interval, "chance 0.5") if part))]
    if known(own.get("best_auc")):
        facts.append(("largest AUC to expect", metric_text("auc", own["best_auc"]), "of the synthetic data"))
    note = f"prior {metric_text('logloss', prior.get('logloss'))}" if prior else ""
    facts.append(("log-loss", metric_text("logloss", own.get("logloss")), note))
    rate = f"click rate {metric_text('ap', own.get('click_rate'))}"
    facts.append(("average precision", metric_text("ap", own.get("ap")), rate))
    facts.append(("clicks measured", count_text(_clicks(run)), f"in {count_text(run.evaluation.get('rows'))} rows"))
    return facts


def click_verdict(run: RunDocuments) -> str:
    """Returns how the model does against the prior: order by AUC, probabilities by log-loss."""
    own, prior = _metrics(run)
    if not known(own.get("auc")):
        return ""
    split = run.evaluation.get("split", "test")
    text = f"Measured on {count_text(run.evaluation.get('rows'))} rows of `{split}`. "
    interval = auc_bounds(own)
    if interval_text("auc", interval):
        sure = interval["low"] > _CHANCE or interval["high"] < _CHANCE
        text += f"The interval of AUC {'excludes' if sure else 'includes'} 0.5, what any constant has"
        text += ". " if sure else ": this split cannot tell the model from chance. "
    if known(own.get("logloss")) and known(prior.get("logloss")):
        gain = (prior["logloss"] - own["logloss"]) / prior["logloss"]
        text += "The log-loss is "
        text += f"{share_text(abs(gain))} {'below' if gain > 0 else 'above'}" if gain else "equal to"
        text += " that of the prior, the click rate of the training rows for every row"
        text += "." if gain > 0 else ": its probabilities are no better than that constant."
    return text.strip()


def auc_bounds(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Returns `low` and `high` of the interval of AUC, None where there is none."""
    return {"low": metrics.get("auc_low"), "high": metrics.get("auc_high")}


def _metrics(run: RunDocuments) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    baselines = run.evaluation.get("baselines") or {}
    return run.evaluation.get("metrics") or {}, baselines.get("prior") or {}


def _clicks(run: RunDocuments) -> Any:
    if "clicks" in run.evaluation:
        return run.evaluation["clicks"]
    rate, rows = (run.evaluation.get("metrics") or {}).get("click_rate"), run.evaluation.get("rows")
    return round(rate * rows) if known(rate) and known(rows) else None
