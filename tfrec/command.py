"""What all commands share: option types, output on the right stream, errors as one line and an exit code.

Exit codes: 0 success, 1 unexpected failure, 2 bad flag or configuration, 3 bad data, 4 training failed, 5 a server
failed, 6 an export does not answer as its model, 7 the gate of a pipeline blocked a model, 130 interrupted. With
`--json` standard output carries exactly one JSON document; progress and tables go to standard error.
"""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.console import Console

from tfrec.compat import load_tensorflow_when_needed
from tfrec.errors import ConfigError, TfrecError
from tfrec.tables import make_table

__all__ = ["DebugFlag", "DryRunFlag", "JsonFlag", "console", "make_table", "print_json", "run_command"]

JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output, for machines.")]
DebugFlag = Annotated[bool, typer.Option("--debug", help="Show the full traceback of an error.")]
DryRunFlag = Annotated[
    bool, typer.Option("--dry-run", help="Check everything, say what would be written, write nothing.")
]

EXIT_UNEXPECTED = 1
EXIT_INTERRUPTED = 130
_DUCKDB_INTERRUPTED = "Query interrupted"  # what duckdb makes of Ctrl-C while a query runs


def console(*, json_output: bool = False) -> Console:
    """Returns the console for people: standard output, or standard error when that carries JSON."""
    return Console(stderr=json_output, highlight=False)


def print_json(document: Mapping[str, Any]) -> None:
    """Writes one JSON document to standard output."""
    sys.stdout.write(json.dumps(document, indent=2, sort_keys=False, default=str) + "\n")


def run_command(function: Callable[..., None], argv: Sequence[str] | None = None, *, prog: str | None = None) -> int:
    """Parses `argv` by the signature of `function`, calls it and maps every outcome to an exit code.

    Args:
        function: A typer-style function; its docstring is the `--help` text.
        argv: Arguments without the program name. Default: `sys.argv[1:]`.
        prog: Program name for the usage line. Default: `python -m <module of function>`, or
            `python <file>` of a script.

    Returns:
        The exit code.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    app = typer.Typer(add_completion=False, rich_markup_mode="markdown")

    load_tensorflow_when_needed()  # `--help` and mistakes in arguments need no TensorFlow
    app.command()(function)
    if prog is None:
        module = function.__module__
        spec = getattr(sys.modules["__main__"], "__spec__", None)
        if module == "__main__" and spec is not None:
            module = spec.name
        prog = f"python {sys.argv[0]}" if module == "__main__" else f"python -m {module}"
    errors = Console(stderr=True, highlight=False)
    try:
        command = typer.main.get_command(app)
        _check_values(command, arguments)
        command.main(args=arguments, prog_name=prog)
    except SystemExit as stop:  # typer's way out, also after `--help` and usage errors, which it has printed
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        if code == EXIT_INTERRUPTED:
            errors.print("Interrupted.", style="bold red")
        return code
    except TfrecError as error:
        if "--debug" in arguments:
            errors.print_exception()
        errors.print("Error: ", style="bold red", end="")
        errors.print(str(error), markup=False, soft_wrap=True)
        return error.exit_code
    except RuntimeError as error:
        if str(error) != _DUCKDB_INTERRUPTED:
            return _unexpected(error, errors, arguments)
        errors.print("Interrupted.", style="bold red")
        return EXIT_INTERRUPTED
    except Exception as error:  # noqa: BLE001  the last line of defence of every command
        return _unexpected(error, errors, arguments)
    return 0


def written_options(context: typer.Context) -> list[Any]:
    """Returns the parameters of a command that stand on the command line, be it with their defaults."""
    sources = [(one, context.get_parameter_source(str(one.name))) for one in context.command.params]
    return [one for one, source in sources if source is not None and source.name == "COMMANDLINE"]


def _check_values(command: Any, arguments: Sequence[str]) -> None:
    """Raises ConfigError where an option stands in the place of another one's value, which it would become."""
    options = [parameter for parameter in command.params if parameter.param_type_name == "option"]
    known = {name for option in options for name in (*option.opts, *option.secondary_opts)}
    hungry = {name for option in options if not option.is_flag and not option.count for name in option.opts}
    for name, value in itertools.pairwise(arguments):
        if name in hungry and value in known:
            raise ConfigError(f"`{name}` needs a value; `{value}` follows it.", remedy=f"Write `{name} VALUE {value}`.")


def _unexpected(error: Exception, errors: Console, arguments: Sequence[str]) -> int:
    if "--debug" in arguments:
        errors.print_exception()
    errors.print("Unexpected error: ", style="bold red", end="")
    errors.print(f"{type(error).__name__}: {error}", markup=False, soft_wrap=True)
    if "--debug" not in arguments:
        errors.print("Run again with --debug for the traceback.")
    return EXIT_UNEXPECTED
