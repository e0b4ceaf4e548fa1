"""`python -m tfrec`: list commands and models, or run a command (`python -m tfrec train --help`)."""

from __future__ import annotations

import importlib
import sys

from tfrec.command import console, make_table, run_command
from tfrec.errors import did_you_mean
from tfrec.version import __version__

COMMANDS = {
    "datasets": "List known public data sets; turn their owners' files into Parquet or a split dataset",
    "convert": "Event logs (Parquet, CSV, TSV, RecBole, JSON lines) to a dataset directory of TFRecords",
    "texts": "Texts of items and users from templates or a language model, their vectors, and an audit for leaks",
    "train": "Train a model, measure it beside its baselines, write a run directory",
    "tune": "Search for settings on the validation split; the winner is confirmed over several seeds",
    "evaluate": "Measure a trained model on a split with exact full ranking",
    "recommend": "Print the next items for a user or a session",
    "export": "A trained run as a version directory for TensorFlow Serving: publish, roll back, check",
    "publish": "User and item vectors of a trained run to Redis or files: verified, switched at once, rolled back",
    "benchmark": "Time training, conversion, reading and evaluation beside the obvious alternatives",
}


def main() -> int:
    """Dispatches to a command, or lists what there is."""
    arguments = sys.argv[1:]
    if arguments and not arguments[0].startswith("-"):
        name = arguments[0]
        if name not in COMMANDS:
            console(json_output=True).print(f"Unknown command `{name}`. {did_you_mean(name, COMMANDS)}", markup=False)
            return 2
        module = importlib.import_module(f"tfrec.{name}")
        return run_command(module.main, arguments[1:], prog=f"python -m tfrec.{name}")
    if arguments == ["--version"]:
        console().print(f"tfrec {__version__}", markup=False)
        return 0
    out = console()
    out.print(make_table(f"tfrec {__version__}: commands", ["command", "what it does"], list(COMMANDS.items())))
    out.print("python -m tfrec.COMMAND --help explains a command.", markup=False)
    from tfrec.registry import model_class, model_names

    rows = [[name, (model_class(name).__doc__ or "").strip().splitlines()[0]] for name in model_names()]
    out.print(make_table("Models (--model)", ["model", "what it is"], rows))
    return 0 if not arguments or arguments in (["--help"], ["-h"]) else 2


if __name__ == "__main__":
    sys.exit(main())
