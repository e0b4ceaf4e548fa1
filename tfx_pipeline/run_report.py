"""The report of a run of the pipeline: one page with data, anomalies, slices, the decision and the lineage."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from tfrec.evaluation.report.blocks import Block, Cell, Facts, Row, Section, Table
from tfrec.evaluation.report.page import Page, render_page, write_page
from tfrec.training.run_manifest import machine, software_versions, source_commit
from tfx_pipeline.lineage import artifact_digest
from tfx_pipeline.parquet_example_gen.input_patterns import FILES
from tfx_pipeline.report.data_sections import anomalies_section, statistics_section
from tfx_pipeline.report.gate_section import decision_blocks, gate_section
from tfx_pipeline.run_facts import RunFacts

_SECRET = re.compile(r"key|secret|password|passwd|token|credential|connection_string|signature|sas", re.IGNORECASE)
_LOGIN = re.compile(r"(://)[^/@\s]*@")


def write_run_report(facts: RunFacts, path: Path) -> None:
    """Writes the report of a run, also of one that failed: parts that it did not come to are left out.

    Args:
        facts: What the nodes left.
        path: The HTML file.

    Raises:
        ConfigError: The file cannot be written.
    """
    made = (
        _overview(facts),
        statistics_section(facts),
        anomalies_section(facts),
        gate_section(facts),
        _lineage(facts),
        _provenance(facts),
    )
    page = Page(
        title=f"{facts.model}: {_verdict(facts)}",
        kicker="tfrec pipeline report",
        lead=f"Run `{facts.lineage.run_id}` in `{facts.settings.root}`, {facts.seconds:.0f} s.",
        sections=tuple(section for section in made if section is not None),
    )
    write_page(render_page(page), path)


def _verdict(facts: RunFacts) -> str:
    if facts.failure is not None:
        return f"stopped at {facts.failure.node}"
    if facts.blocked:
        return "blocked"
    return f"pushed as version {facts.push['version']}" if facts.push.get("pushed") else "partial run"


def _overview(facts: RunFacts) -> Section:
    rows = tuple(Row(run.node, (Cell(run.state), Cell(f"{run.seconds:.1f}"))) for run in facts.nodes)
    blocks: list[Block] = [*decision_blocks(facts)]
    if facts.publication.get("published"):
        vectors = facts.publication["vectors"]
        entries = [(kind, f"{one['count']:,} of {one['dim']}", one["version"]) for kind, one in vectors.items()]
        blocks.append(Facts((("Redis", facts.publication["server"], ""), *entries)))
    if facts.search:
        blocks.append(Facts((("Search", f"{facts.search}/report.html", "trials of the Tuner"),)))
    blocks.append(Table("Nodes", "node", ("state", "seconds"), rows))
    return Section("overview", "Decision", tuple(blocks))


def _lineage(facts: RunFacts) -> Section | None:
    """Every artifact with what it was made of."""
    rows = []
    for execution in facts.lineage.executions:
        made_of = ", ".join(f"{given.key} {given.identity}" for given in execution.inputs)
        for output in execution.outputs:
            digest = artifact_digest(output.uri) or "not computed"
            cells = (Cell(str(output.identity)), Cell(output.kind, f"of {made_of}" if made_of else ""), Cell(digest))
            rows.append(Row(f"{execution.node}.{output.key}", cells, note=output.uri))
    if not rows:
        return None
    caption = "Artifacts by their number in the metadata; the checksum is of names and contents of their files"
    table = Table(caption, "artifact", ("number", "type", "sha256, first digits"), tuple(rows), sentences=True)
    return Section("lineage", "Lineage", (table,))


def shown_flags(flags: Sequence[str]) -> list[str]:
    """Returns flags with the values of secret ones masked.

    Example:
        >>> shown_flags(["--runner=FlinkRunner", "--s3_secret_access_key=hunter2"])
        ['--runner=FlinkRunner', '--s3_secret_access_key=***']
    """
    shown: list[str] = []
    hidden = False  # the value of the flag before, given apart
    for flag in flags:
        name, separator, _ = flag.partition("=")
        if name.startswith("-"):
            secret = _SECRET.search(name) is not None
            shown.append(f"{name}=***" if secret and separator else _LOGIN.sub(r"\1***@", flag))
            hidden = secret and not separator
        else:
            shown.append("***" if hidden else _LOGIN.sub(r"\1***@", flag))
            hidden = False
    return shown


def _provenance(facts: RunFacts) -> Section:
    import tensorflow_model_analysis as tfma
    import tfx

    settings = facts.settings
    versions = {**software_versions(), "tfx": tfx.__version__, "tensorflow-model-analysis": tfma.__version__}
    entries = [
        ("commit", source_commit() or "unknown", ""),
        ("model", facts.model, " ".join(settings.trainer.assignments)),
        ("data", ", ".join(str(path) for name in FILES for path in settings.conversion.get(name) or ()), ""),
        ("Beam", " ".join(shown_flags(settings.beam)), ""),
        *((name, version, "") for name, version in versions.items()),
        *((name, str(value), "") for name, value in machine().items() if value),
    ]
    return Section("provenance", "Code and machine", (Facts(tuple(entries)),))
