"""One run from start to end: nodes, summary, report."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from tfx.orchestration.metadata import sqlite_metadata_connection_config
from tfx.orchestration.pipeline import Pipeline, RunOptions

from tfrec.errors import ConfigError, did_you_mean
from tfrec.tables import make_table
from tfrec.tuning.pipeline_tuner import DIRECTORY
from tfx_pipeline.blessing import BASELINE, CANDIDATE, Decision, read_decision
from tfx_pipeline.components.artifact_files import read_note
from tfx_pipeline.components.golden_replay import REPORT
from tfx_pipeline.components.redis_exporter import PUBLICATION
from tfx_pipeline.components.version_pusher import PUSH
from tfx_pipeline.lineage import Lineage, read_lineage
from tfx_pipeline.node_runner import NodeError, NodeRunner
from tfx_pipeline.pipeline import NAME, all_nodes
from tfx_pipeline.pipeline_settings import PipelineSettings
from tfx_pipeline.run_facts import RunFacts
from tfx_pipeline.run_report import write_run_report

_BEST = "best_hyperparameters.txt"
_MAIN_OUTPUTS = {"Transform": "transform_graph", "Trainer": "model", "Evaluator": "evaluation"}


def run_whole(
    settings: PipelineSettings,
    console: Console,
    *,
    from_node: str | None = None,
    to_node: str | None = None,
    dry_run: bool = False,
) -> dict[str, Any]:
    """Runs the pipeline, prints what became of it and writes `report.html`.

    Args:
        settings: What the nodes are told.
        console: For progress and the summary.
        from_node: Begin with this node; what it needs is taken over from the last run.
        to_node: End with this node.
        dry_run: Only list the nodes.

    Returns:
        `run`, `model`, `search`, `nodes`, `blocked`, `reasons`, `metrics`, `pushed`, `published`, `report`, `seconds`.

    Raises:
        NodeError: A node failed. The report says how far the run came.
        ConfigError: There is no such node.
    """
    for remark in settings.remarks:
        console.print(remark, style="yellow", markup=False, soft_wrap=True)
    nodes = all_nodes(settings)
    names = [node.id for node in nodes]
    for flag, name in (("--from", from_node), ("--to", to_node)):
        if name is not None and name not in names:
            raise ConfigError(f"`{flag} {name}`: there is no such node.", remedy=did_you_mean(name, names))
    if dry_run:
        console.print(f"Would run {', '.join(names)} in `{settings.root}`.", markup=False)
        return {"nodes": [{"node": name, "state": "planned"} for name in names]}
    settings.root.mkdir(parents=True, exist_ok=True)
    pipeline = Pipeline(
        pipeline_name=NAME,
        pipeline_root=str(settings.artifacts),
        components=nodes,
        enable_cache=settings.cache,
        metadata_connection_config=sqlite_metadata_connection_config(str(settings.metadata)),
        beam_pipeline_args=list(settings.beam),
    )
    part = None
    if from_node is not None or to_node is not None:
        part = RunOptions(from_nodes=[from_node] if from_node else None, to_nodes=[to_node] if to_node else None)
    runner = NodeRunner(console)
    started = time.perf_counter()
    failure: NodeError | None = None
    try:
        runner.run(pipeline, run_options=part)
    except NodeError as error:
        failure = error
    facts = gather(settings, runner, time.perf_counter() - started, failure)
    report = _report(settings, facts, console)
    if failure is not None:
        if report is not None:
            console.print(f"Report: {report}", markup=False, soft_wrap=True)
        raise failure
    _summary(settings, facts, report, console)
    return {
        "run": facts.lineage.run_id,
        "model": facts.model,
        "search": facts.search or None,
        "nodes": [{"node": run.node, "state": run.state, "seconds": round(run.seconds, 2)} for run in facts.nodes],
        "blocked": facts.blocked,
        "reasons": facts.reasons,
        "metrics": facts.decision.slices if facts.decision is not None else {},
        "pushed": facts.push,
        "published": facts.publication,
        "report": None if report is None else str(report),
        "seconds": round(facts.seconds, 1),
    }


def gather(settings: PipelineSettings, runner: NodeRunner, seconds: float, failure: NodeError | None) -> RunFacts:
    """Reads what the nodes left."""
    lineage = read_lineage(settings.metadata, runner.run_id)
    decision: Decision | None = None
    for evaluation in lineage.outputs("Evaluator", "evaluation"):
        decision = read_decision(evaluation.uri)
    return RunFacts(
        settings=settings,
        lineage=lineage,
        nodes=runner.nodes,
        seconds=seconds,
        failure=failure,
        decision=decision,
        replay=_note(lineage, "GoldenReplay", REPORT),
        push=_note(lineage, "Pusher", PUSH),
        publication=_note(lineage, "RedisExporter", PUBLICATION),
        search=str(_note(lineage, "Tuner", _BEST, "best_hyperparameters").get("values", {}).get(DIRECTORY, "")),
    )


def _note(lineage: Lineage, node: str, name: str, key: str | None = None) -> dict[str, Any]:
    found = lineage.outputs(node, key)
    return read_note(found[-1].uri, name) if found else {}


def _report(settings: PipelineSettings, facts: RunFacts, console: Console) -> Path | None:
    """Writes the report of this run and, as `report.html`, of the latest one; a finished run does not fail by it."""
    own = settings.root / "reports" / f"{facts.lineage.run_id.replace(':', '')}.html"
    latest = settings.root / "report.html"
    try:
        write_run_report(facts, own)
        shutil.copyfile(own, latest)
    except Exception as error:  # noqa: BLE001
        console.print(f"The report could not be written: {type(error).__name__}: {error}", style="yellow", markup=False)
        return None
    return latest


def _summary(settings: PipelineSettings, facts: RunFacts, report: Path | None, console: Console) -> None:
    rows = [[run.node, run.state, f"{run.seconds:.1f}", _place(settings, facts, run.node)] for run in facts.nodes]
    console.print(make_table(f"{facts.seconds:.0f} s, below {settings.root}", ["node", "", "s", "artifact"], rows))
    told = settings.trainer.model
    if facts.model != told:
        text = f"The model is `{facts.model}` of an earlier run: `--model {told}` had no effect. Leave out --from."
        console.print(text, style="yellow", markup=False, soft_wrap=True)
    if facts.search:
        console.print(f"Search: {facts.search}/report.html", markup=False, soft_wrap=True)
    if facts.decision is not None:
        console.print(_slices(settings, facts.decision))
    if facts.blocked:
        console.print("BLOCKED: the model was not pushed.", style="bold red")
        for reason in facts.reasons:
            console.print(f"  {reason}", markup=False, soft_wrap=True)
    elif facts.push:
        again = "" if facts.push.get("new") else " (it was there already)"
        console.print(f"Blessed and pushed: {facts.push['path']}{again}", style="green", soft_wrap=True)
    if facts.publication.get("published"):
        vectors = facts.publication["vectors"]
        said = ", ".join(f"{one['count']:,} {kind} of {one['dim']}" for kind, one in vectors.items())
        console.print(f"Vectors at {facts.publication['server']}: {said}", markup=False, soft_wrap=True)
    if report is not None:
        console.print(f"Report: {report}", markup=False, soft_wrap=True)


def _place(settings: PipelineSettings, facts: RunFacts, node: str) -> str:
    """The artifact of a node that people look for, below the root."""
    outputs = {output.key: output.uri for output in facts.lineage.outputs(node)}
    uri = outputs.get(_MAIN_OUTPUTS.get(node, ""), next(iter(outputs.values()), ""))
    return str(Path(uri).relative_to(settings.root)) if uri.startswith(str(settings.root)) else uri


def _slices(settings: PipelineSettings, decision: Decision) -> Any:
    gate = settings.gate
    small = decision.small_slices(gate)
    rows, compared = [], False
    for name, models in decision.slices.items():
        own, old = models.get(CANDIDATE, {}), models.get(BASELINE, {})
        compared = compared or bool(old)
        shown = [
            f"{own[one]:.4f}" + (f" {own[one] - old[one]:+.4f}" if one in old else "") if one in own else "undefined"
            for one in gate.metrics
        ]
        rows.append([f"{name} (no bound)" if name in small else name, f"{own.get(gate.counted, 0):,.0f}", *shown])
    title = f"Evaluator: split {gate.split}" + (", and the difference to the baseline" if compared else "")
    return make_table(title, ["slice", gate.counted, *gate.metrics], rows)
