"""The search: propose, train, tell, and keep a journal that survives a kill."""

from __future__ import annotations

import datetime
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console

from tfrec.errors import ConfigError, DataError, TrainingError
from tfrec.files import write_json
from tfrec.training.run_manifest import (
    check_same_data,
    dataset_fingerprint,
    machine,
    software_versions,
    source_commit,
)
from tfrec.tuning.best_config import write_best
from tfrec.tuning.confirmation import DEFAULT, WINNER, confirm, verdict_text
from tfrec.tuning.oracle import TrialOracle
from tfrec.tuning.search_data import SearchData, check_splits, open_data, synthetic_data
from tfrec.tuning.search_directory import SearchDirectory
from tfrec.tuning.search_progress import SearchProgress
from tfrec.tuning.search_settings import SearchSettings
from tfrec.tuning.train_trial import TrainTrial, objective_of, train_trial
from tfrec.tuning.trial_record import TrialRecord
from tfrec.tuning.trial_tables import best_trial, print_trials, write_table
from tfrec.tuning.tuning_report import write_tuning_report

_MOST_ATTEMPTS = 3


def run_search(
    settings: SearchSettings,
    output: str | Path,
    console: Console,
    *,
    data: str | None = None,
    overwrite: bool = False,
    resume: bool = False,
    train: TrainTrial = train_trial,
) -> dict[str, Any]:
    """Searches, retrains the winner over several seeds beside the default configuration, and writes everything down.

    Trials see the splits `train` and `valid` only. The same settings and data give the same trials; a search that was
    interrupted, even by `kill -9`, goes on with `resume` to the same trials.

    Args:
        settings: What is searched and how.
        output: Directory of the search, see `SearchDirectory`.
        console: For progress and tables.
        data: Dataset directory. Default: the synthetic clickstream, or for click models synthetic impressions.
        overwrite: Replace an earlier search in `output`.
        resume: Continue the search in `output`; the number of trials may be raised.
        train: How a trial is trained and measured.

    Returns:
        The content of `search.json`: settings and provenance, `best` (trial, settings, score; `offered` says whose
        settings `best.yaml` has, `default` where that had the better mean), `trials` (counts) and `confirmation`.

    Raises:
        ConfigError: The output is occupied, or the search that is resumed is another one.
        DataError: The data set is missing, damaged or without a validation split.
        TrainingError: Too many trials failed in a row, or all did.
    """
    folder = SearchDirectory(output)
    given = None if data is None else open_data(settings, data)
    if given is not None:
        check_splits(given)
    settings.default_config()
    folder.prepare(overwrite=overwrite, resume=resume)
    dataset = synthetic_data(settings, folder.dataset, console) if given is None else given
    check_splits(dataset)
    header = _header(settings, dataset, folder, resume=resume)
    write_json(folder.search, header)
    oracle = TrialOracle(
        settings.searcher,
        settings.space,
        settings.goal,
        settings.seed,
        **({"max_epochs": settings.longest, "factor": settings.factor} if settings.searcher == "hyperband" else {}),
    )
    search = _Search(settings, folder, console, oracle, str(dataset.path), train)
    try:
        search.run()
    finally:
        records = search.records
        write_table(folder.table, records, settings)
        print_trials(records, settings, console)
    best = best_trial(records, settings.goal)
    if best is None:
        reasons = "; ".join(dict.fromkeys(str(record.reason) for record in records))
        raise TrainingError(
            f"All {len(records)} trials failed: {reasons}",
            remedy=f"The logs are in `{folder.trials}`. Narrow the space, or try its centre with `tfrec.train`.",
        )
    write_best(folder.best, settings, best, header)
    document = {**header, **_outcome(records, best, settings)}
    said = f"Best settings: {folder.best}"
    if settings.confirm_seeds:
        document["confirmation"] = found = confirm(settings, folder, best, console, str(dataset.path), train)
        worse = found["gain"] < 0
        document["best"]["offered"] = DEFAULT if worse else WINNER
        write_best(folder.best, settings, best, header, confirmed=verdict_text(found), default=worse)
        if worse:
            said = f"Trial {best.number} did worse than the default configuration, so its settings are not offered. "
            said += f"Settings of the default configuration: {folder.best}"
    else:
        said += f"\nTrial {best.number} was not compared with the default configuration (`--confirm-seeds 3` does)."
    write_json(folder.search, document)
    write_tuning_report(folder, document, records, settings)
    console.print(f"{said}\nReport: {folder.report}", markup=False, soft_wrap=True)
    return document


class _Search:
    """The loop over trials."""

    def __init__(
        self,
        settings: SearchSettings,
        folder: SearchDirectory,
        console: Console,
        oracle: TrialOracle,
        data: str,
        train: TrainTrial,
    ) -> None:
        self.settings, self.folder, self.console, self.oracle = settings, folder, console, oracle
        self.data, self.train = data, train
        self.records: list[TrialRecord] = []
        self._known = folder.read_trials()

    def run(self) -> None:
        total = max(self.settings.num_trials, sum(record.status != "running" for record in self._known))
        with SearchProgress(self.console, self.settings.goal, total) as progress:
            for record in self._known:
                if record.status != "running":
                    self.oracle.replay(record)
                    self.records.append(record)
                    progress.end(record, quiet=True)
            if self.records:
                self.console.print(f"Taken over: {len(self.records)} trials.", markup=False)
            while len(self.records) < total:
                proposed = self.oracle.propose()
                if proposed is None:
                    self.console.print(f"The space is exhausted after {len(self.records)} trials.", markup=False)
                    return
                record = proposed
                interrupted = next((known for known in self._known if known.number == record.number), None)
                record.attempts = 0 if interrupted is None else interrupted.attempts
                record.seconds = 0.0 if interrupted is None else interrupted.seconds
                self.records.append(record)
                progress.begin(f"trial {record.number}")
                self._end(record, progress.listen)
                self.oracle.tell(record)
                self.folder.write_trials(self.records)
                progress.end(record)
                self._prune()
                self._check_failures()

    def _end(self, record: TrialRecord, listen: Callable[[str], None]) -> None:
        """Trains a trial and records its outcome; the data's faults and the user's Ctrl-C are not the trial's."""
        if record.attempts >= _MOST_ATTEMPTS:
            record.status = "failed"
            record.reason = f"the process ended {record.attempts} times during this trial (out of memory?)"
            return
        record.attempts += 1
        self.folder.write_trials(self.records)
        started = time.monotonic()
        try:
            record.metrics = self._train(record, listen)
            record.score = objective_of(record.metrics, self.settings.goal)
            record.status = "completed"
        except KeyboardInterrupt:
            record.attempts -= 1
            self.folder.write_trials(self.records)
            self.records.remove(record)
            raise
        except DataError:
            raise
        except OSError as error:
            raise DataError(f"Trial {record.number} cannot be written: {error}", file=self.folder.path) from error
        except Exception as error:  # noqa: BLE001  whatever one configuration does wrong, others may do right
            record.status, record.score = "failed", None
            record.reason = _reason(error)
        finally:
            record.seconds += time.monotonic() - started

    def _train(self, record: TrialRecord, listen: Callable[[str], None]) -> dict[str, float]:
        values = dict(record.values)
        if record.epochs is not None:
            values["training.epochs"] = record.epochs
        config = self.settings.trial_config(values, data=self.data)
        continued = None
        if record.continued_from is not None:
            continued = self.folder.run(self.records[record.continued_from]).path
        return self.train(config, self.folder.run(record).path, continued, listen)

    def _prune(self) -> None:
        """Keeps the weights of the best trial, and of those that Hyperband may still continue."""
        best = best_trial(self.records, self.settings.goal)
        bracket = self.records[-1].codes.get("tuner/bracket")
        self.folder.prune(
            record
            for record in self.records
            if record is not best and (bracket is None or record.codes.get("tuner/bracket") != bracket)
        )

    def _check_failures(self) -> None:
        last = self.records[-self.settings.max_failures :]
        if len(last) == self.settings.max_failures and all(record.status == "failed" for record in last):
            reasons = "; ".join(dict.fromkeys(str(record.reason) for record in last))
            raise TrainingError(
                f"{len(last)} trials in a row failed: {reasons}",
                remedy=f"The logs are in `{self.folder.trials}`. Narrow the space; or raise `--max-failures` and go on "
                "with `--resume`.",
            )


def _header(settings: SearchSettings, dataset: SearchData, folder: SearchDirectory, *, resume: bool) -> dict[str, Any]:
    """Returns settings and provenance; refuses to resume another search."""
    now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    header = {
        "created": now,
        "command": _command(),
        "settings": json.loads(json.dumps(settings.document())),
        "dataset": dataset_fingerprint(dataset),
        "commit": source_commit(),
        "versions": software_versions(),
        "machine": machine(),
    }
    if not resume:
        return header
    first = folder.read(folder.search)
    check_same_data(first, dataset)
    for key, value in header["settings"].items():
        if first["settings"].get(key) != value:
            raise ConfigError(
                f"The search in `{folder.path}` was made with another `{key}`.",
                remedy="Resume with the same settings (only the number of trials, of failures and of seeds may "
                "change), or start a new search.",
            )
    kept = {key: first[key] for key in header}
    return {**kept, "resumed": [*first.get("resumed", []), now]}


def _command() -> list[str]:
    program = Path(sys.argv[0])
    known = program.stem == "tune" and program.parent.name == "tfrec"
    return [*(["python", "-m", "tfrec.tune"] if known else [program.name]), *sys.argv[1:]]


def _outcome(records: list[TrialRecord], best: TrialRecord, settings: SearchSettings) -> dict[str, Any]:
    failed = [record for record in records if record.status == "failed"]
    return {
        "trials": {"completed": len(records) - len(failed), "failed": len(failed)},
        "failures": [{"trial": record.number, "reason": record.reason} for record in failed],
        "best": {
            "trial": best.number,
            "score": best.score,
            "objective": settings.goal.name,
            "metrics": best.metrics,
            "settings": best.values,
            **({} if best.epochs is None else {"epochs": best.epochs}),
        },
    }


def _reason(error: Exception) -> str:
    text = str(error).strip().splitlines()
    first = text[0] if text else ""
    return first if isinstance(error, (TrainingError, ConfigError)) else f"{type(error).__name__}: {first}"
