"""What to know first: alarms, leaks, and the model against the best baseline."""

from __future__ import annotations

from tfrec.evaluation.alarms import USER_METRIC, best_user_baseline, too_few_users
from tfrec.evaluation.report.accuracy_section import protocol_caption
from tfrec.evaluation.report.audit_section import audit_notices
from tfrec.evaluation.report.blocks import Block, Facts, Notice, Paragraph, Section
from tfrec.evaluation.report.clicks_overview import click_cautions, click_figures, click_verdict
from tfrec.evaluation.report.codes_section import codes_caution
from tfrec.evaluation.report.numbers import interval_text, known, metric_text, seconds_text
from tfrec.evaluation.report.protocol_view import ProtocolView
from tfrec.evaluation.report.run_documents import RunDocuments

_ALARMS = {
    "same_list": "every user gets the same list",
    "same_state": "every user has the same state",
    "constant_scores": "scores are constant",
    "tied_scores": "the tie rule makes the numbers",
    "at_chance": "no better than chance",
    "users_at_chance": "users are not told apart",
    "below_user_baseline": "users are found less often than without towers",
    "below_popularity": "below the popularity baseline",
    "few_clicks": "too few clicks to measure by",
    "clicks_at_chance": "no better than the click rate alone",
}


def overview_section(run: RunDocuments) -> Section:
    """Returns notices, the headline figures and the verdict."""
    view = ProtocolView(run.protocols[0]) if run.protocols else ProtocolView({})
    notices = _alarms(run)
    if run.is_clicks:  # rows are no sequences: there is no leak audit, and no ranking of items
        notices += click_cautions(run)
    elif view.model is not None:
        notices += audit_notices(run)
        notices += _few_users(run)
    else:
        remedy = f"`python -m tfrec.evaluate --run {run.name} --report report.html` measures the model."
        notices.append(Notice("warning", "Caution", "The run has not been evaluated", remedy))
    notices += codes_caution(run)
    blocks: list[Block] = [*sorted(notices, key=lambda notice: ("alarm", "warning", "fine").index(notice.level))]
    facts = click_figures(run) if run.is_clicks else _user_figures(run)
    facts += _figures(run, view)
    if facts:
        blocks.append(Facts(tuple(facts), large=True))
    verdict = click_verdict(run) if run.is_clicks else _verdict(run, view)
    if verdict:
        blocks.append(Paragraph(verdict))
    return Section("overview", "At a glance", tuple(blocks))


def _alarms(run: RunDocuments) -> list[Notice]:
    notices = []
    for alarm in run.evaluation.get("alarms") or []:
        name = str(alarm.get("name", "alarm"))
        where = "; ".join(str(alarm[key]) for key in ("model", "protocol") if alarm.get(key))
        title = _ALARMS.get(name, name.replace("_", " ")) + (f" ({where})" if where else "")
        notices.append(Notice("alarm", "Alarm", title, str(alarm.get("message") or "")))
    if not notices and "alarms" in run.evaluation and (run.protocols or run.is_clicks):
        fine = "there are enough clicks, and the model" if run.is_clicks else "the model has not collapsed and"
        notices.append(Notice("fine", "No alarm", f"{fine} is better than chance"))
    return notices


def _few_users(run: RunDocuments) -> list[Notice]:
    section = run.evaluation.get("users")
    warning = too_few_users(section) if section else None
    return [] if warning is None else [Notice("warning", "Caution", "Few users are compared", warning)]


def _user_figures(run: RunDocuments) -> list[tuple[str, str, str]]:
    """Returns what a model of vectors of users is for, before the figures of next items."""
    section = run.evaluation.get("users")
    if not section:
        return []
    own = next(entry for entry in section["models"].values() if entry["role"] == "model")
    interval = interval_text(USER_METRIC, (own.get("intervals") or {}).get(USER_METRIC))
    chance = f"chance {metric_text(USER_METRIC, section['chance'][USER_METRIC])}"
    note = ", ".join(part for part in (interval, chance) if part)
    facts = [(f"users found: {USER_METRIC}", metric_text(USER_METRIC, own["metrics"][USER_METRIC]), note)]
    best = best_user_baseline(section)
    if best is not None:
        value = metric_text(USER_METRIC, section["models"][best]["metrics"][USER_METRIC])
        facts.append((f"best without towers: {best}", value, USER_METRIC))
    return facts


def _figures(run: RunDocuments, view: ProtocolView) -> list[tuple[str, str, str]]:
    facts = []
    if view.model is not None:
        for metric in view.headline:
            interval = interval_text(metric, (view.own.get("intervals") or {}).get(metric))
            chance = f"chance {metric_text(metric, view.chance[metric])}" if known(view.chance.get(metric)) else ""
            note = ", ".join(part for part in (interval, chance) if part)
            facts.append((metric, metric_text(metric, view.value(view.model, metric)), note))
        best = view.best_baseline
        if best is not None:
            metric = view.headline[0]
            facts.append((f"best baseline: {best}", metric_text(metric, view.value(best, metric)), metric))
    if known(run.training.get("seconds")):
        speed = run.training.get("events_per_second")
        note = f"{speed:,.0f} {'rows' if run.is_clicks else 'events'}/s" if known(speed) else ""
        facts.append(("training time", seconds_text(run.training["seconds"]), note))
    return facts


def _verdict(run: RunDocuments, view: ProtocolView) -> str:
    best = view.best_baseline
    if view.model is None or best is None:
        return ""
    metric = view.headline[0]
    own, other = view.value(view.model, metric), view.value(best, metric)
    if not known(own):
        return ""
    gap = float(own) - float(other)
    next_items = "Next items, a by-product of this model: measured" if run.evaluation.get("users") else "Measured"
    text = f"{next_items} on {protocol_caption(run, view)}. "
    text += (
        f"{view.model} is {'ahead of' if gap > 0 else 'behind' if gap < 0 else 'level with'} the best baseline, {best}"
    )
    text += f", by {abs(gap):.4f} {metric}" if gap else ""
    text += f" ({100 * gap / float(other):+.1f}\N{NO-BREAK SPACE}%)" if gap and other else ""
    difference = view.difference(best, metric)
    interval = interval_text(metric, difference, signed=True)
    if interval:
        clear = difference["low"] > 0 or difference["high"] < 0
        text += f"; the interval of the difference, {interval}, {'excludes' if clear else 'includes'} zero"
        text += "." if clear else ": this test set cannot tell them apart."
    else:
        text += "."
    return text
