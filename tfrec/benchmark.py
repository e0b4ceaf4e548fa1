"""`python -m tfrec.benchmark`: rates and times beside the obvious alternatives, as tables and JSON."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from tfrec.command import DebugFlag, JsonFlag, console, print_json, run_command


def main(
    output: Annotated[Path, typer.Option(help="Directory for NAME.json of every benchmark and all.json.")] = Path(
        "bench"
    ),
    only: Annotated[list[str] | None, typer.Option(help="Run only this benchmark; repeat for more.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Small sizes, few repetitions: under 90 seconds.")] = False,
    conversion_events: Annotated[
        int | None, typer.Option(min=100_000, help="Events of the log of `conversion`. Default: 2,000,000.")
    ] = None,
    json_output: JsonFlag = False,
    debug: DebugFlag = False,
) -> None:
    """Times training, conversion, reading and evaluation, each beside an alternative in the same run.

    Every benchmark checks what it timed; the cases take turns and each is timed several times.

    Example: `python -m tfrec.benchmark --output bench --only gru4rec_training`
    """
    del debug
    from tfrec.benchmarks.registry import BENCHMARKS, check_names, run_benchmark
    from tfrec.files import write_json
    from tfrec.training.run_manifest import machine, software_versions, source_commit

    names = list(dict.fromkeys(only or BENCHMARKS))
    check_names(names)
    output.mkdir(parents=True, exist_ok=True)
    human = console(json_output=json_output)
    facts = machine()
    human.print(f"{facts['processor']}, {facts['cores']} cores, {facts['platform']}", markup=False)
    document: dict[str, Any] = {
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "quick": quick,
        "commit": source_commit(),
        "versions": software_versions(),
        "machine": facts,
        "benchmarks": {},
    }
    for name in names:
        human.print(f"{name}: {BENCHMARKS[name]} ...", markup=False)
        changes = {"events": conversion_events} if name == "conversion" and conversion_events else {}
        report = run_benchmark(name, quick=quick, changes=changes)
        for table in report.tables():
            human.print(table)
        for note in report.notes:
            human.print(note, markup=False)
        human.print("Ratios: median of those within a round, to the first row of the group.", markup=False)
        human.print(f"{len(report.checks)} checks held; {report.seconds:.0f} s.\n", markup=False)
        write_json(output / f"{name}.json", report.to_json())
        document["benchmarks"][name] = report.to_json()
    write_json(output / "all.json", document)
    human.print(f"Written to {output}.", markup=False)
    if json_output:
        print_json(document)


if __name__ == "__main__":
    sys.exit(run_command(main))
