"""Runs Beam pipelines on the engine the user asked for, and turns what fails there into readable errors."""

from __future__ import annotations

import argparse
import hashlib
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from tfrec.data.beam import job_files
from tfrec.errors import ConfigError, DataError, TfrecError, did_you_mean

RUNNERS = ("DirectRunner", "FlinkRunner", "SparkRunner", "DataflowRunner", "PortableRunner")
LOCAL = "DirectRunner"
_LOCAL_FLAGS = ("--direct_running_mode=in_memory", "--direct_num_workers=1")


class JobRunner(Protocol):
    """Anything that runs pipelines one after the other."""

    def run(self, name: str, build: Callable[[Any], None]) -> None:
        """Runs the pipeline that `build` puts together; returns when it has ended."""


class BeamJobRunner:
    """Runs pipelines on a Beam engine.

    Args:
        runner: One of `RUNNERS`. `DirectRunner` runs in this process, or with
            `--direct_running_mode=multi_processing --direct_num_workers=N` in N worker processes.
        arguments: Flags of Beam, such as `--flink_master=HOST:8081` or `--setup_file=./setup.py`.

    Raises:
        ConfigError: Beam is not installed, or a runner or flag that it does not know.
    """

    def __init__(self, runner: str, arguments: Sequence[str] = ()) -> None:
        if runner not in RUNNERS:
            raise ConfigError(f"Unknown runner `{runner}` (`--runner`).", remedy=did_you_mean(runner, RUNNERS))
        try:
            from apache_beam.options.pipeline_options import PipelineOptions
        except ImportError as error:
            raise ConfigError(
                "`--runner` needs Apache Beam, which is not installed.",
                remedy="Install tfrec with its extra `tfx`, or `pip install apache-beam`; without --runner the "
                "conversion runs here.",
            ) from error
        self._runner = runner
        self.options = PipelineOptions(engine_flags(runner, arguments))

    def run(self, name: str, build: Callable[[Any], None]) -> None:
        """Runs the pipeline that `build` puts together.

        Raises:
            DataError: It failed; the message has the first line of the engine's error.
        """
        import apache_beam as beam

        engine: Any = self._runner
        if self._runner == LOCAL:  # the name alone may choose another local engine, which has to be downloaded first
            from apache_beam.runners.portability.fn_api_runner import FnApiRunner

            engine = FnApiRunner()
        logging.getLogger("apache_beam").setLevel(logging.ERROR)
        try:
            with beam.Pipeline(runner=engine, options=self.options) as pipeline:
                build(pipeline)
        except TfrecError:
            raise
        except Exception as error:
            lines = [line for line in str(error).strip().splitlines() if line.strip()] or [type(error).__name__]
            raise DataError(
                f"The Beam pipeline `{name}` failed: {lines[-1].strip()[:500]}",
                remedy="See the log of the runner; --debug shows the whole error.",
            ) from error


def run_tasks(jobs: JobRunner, name: str, tasks: Sequence[Any], work: Callable[[Any], None], directory: str) -> None:
    """Runs one task per element, wherever the engine likes; an error of a task on data is raised here.

    Args:
        jobs: The engine.
        name: Name of the pipeline.
        tasks: Elements, a few thousand at most.
        work: Picklable; what it finds out it writes to files.
        directory: Directory of the job, for errors.
    """

    def build(pipeline: Any) -> None:
        import apache_beam as beam

        _ = pipeline | beam.Create(list(tasks)) | beam.Reshuffle() | beam.Map(Guarded(work, directory))

    jobs.run(name, build)
    raise_task_errors(directory)


class Guarded:
    """A function for workers that notes errors on data in a file instead of failing, which engines would retry."""

    def __init__(self, work: Callable[[Any], Any], directory: str) -> None:
        self._work = work
        self._directory = directory

    def __call__(self, element: Any) -> Any:
        """Returns what the function returns; None after an error."""
        try:
            return self._work(element)
        except DataError as error:
            fields = {
                "problem": error.problem,
                "file": None if error.file is None else str(error.file),
                "column": error.column,
                "row": error.row,
                "remedy": error.remedy,
            }
            place = hashlib.sha256(repr(_order(fields)).encode()).hexdigest()
            job_files.write_json(job_files.join(self._directory, "errors", f"{place}.json"), fields)
            return None

    def flat(self, element: Any) -> Iterable[Any]:
        """The same for functions that return several elements."""
        found: Iterable[Any] = self(element) or ()
        return found


def raise_task_errors(directory: str) -> None:
    """Raises the first error that tasks have noted, by file and row."""
    found = [job_files.read_json(path) for path in job_files.list_files(job_files.join(directory, "errors"))]
    if found:
        first = min(found, key=_order)
        raise DataError(first.pop("problem"), **first)


def _order(fields: dict[str, Any]) -> tuple[str, int, str]:
    return str(fields["file"]), fields["row"] or 0, str(fields["column"])


def engine_flags(runner: str, arguments: Sequence[str]) -> list[str]:
    """Returns all flags for Beam, `--runner` first.

    Args:
        runner: One of `RUNNERS`.
        arguments: Flags that were given; they have precedence over those of a local run.

    Raises:
        ConfigError: A flag that Beam does not know, which it would pass over.
    """
    from apache_beam.options.pipeline_options import PipelineOptions

    _check_flags(arguments, PipelineOptions)
    given = {flag.partition("=")[0] for flag in arguments}
    own = _LOCAL_FLAGS if runner == LOCAL else ()
    return [f"--runner={runner}", *(flag for flag in own if flag.partition("=")[0] not in given), *arguments]


def _check_flags(arguments: Sequence[str], options: Any) -> None:
    known = set()
    for group in options.__subclasses__():
        scratch = argparse.ArgumentParser(add_help=False, conflict_handler="resolve")
        group._add_argparse_args(scratch)
        known |= set(scratch._option_string_actions)
    for argument in arguments:
        name = argument.split("=", 1)[0]
        if not name.startswith("--"):
            # Not repeated: it may be the value of a flag before it, and that a password.
            raise ConfigError("A `--beam-arg` does not begin with `--`.", remedy="Write --beam-arg=--NAME=VALUE.")
        if name not in known:
            raise ConfigError(f"Beam has no flag `{name}` (`--beam-arg`).", remedy=did_you_mean(name, known)[:300])
