"""Exit codes, one-line errors, JSON on standard output."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import pytest
import typer

from tfrec.command import DebugFlag, JsonFlag, console, make_table, print_json, run_command
from tfrec.errors import ConfigError, DataError, TrainingError, did_you_mean


def command(
    fail: Annotated[str, typer.Option(help="How to fail.")] = "",
    count: Annotated[int, typer.Option(help="A number.")] = 1,
    json_output: JsonFlag = False,
    debug: DebugFlag = False,
) -> None:
    """Does nothing, or fails."""
    failures = {
        "config": ConfigError("`a` is wrong.", remedy="Say b."),
        "data": DataError("value `x` is not a number", file="log.csv", column="t", row=7, remedy="Mend it."),
        "training": TrainingError("The loss is `nan`."),
        "bug": ZeroDivisionError("division by zero"),
        "duckdb": RuntimeError("Query interrupted"),
        "runtime": RuntimeError("out of luck"),
    }
    if fail == "interrupt":
        raise KeyboardInterrupt
    if fail:
        raise failures[fail]
    console(json_output=json_output).print("for people")
    if json_output:
        print_json({"count": count})


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 0, ""),
        (["--fail", "config"], 2, "Error: `a` is wrong. Say b."),
        (["--fail", "data"], 3, "Error: `log.csv`, column `t`, row 7: value `x` is not a number Mend it."),
        (["--fail", "training"], 4, "Error: The loss is `nan`."),
        (["--fail", "bug"], 1, "Unexpected error: ZeroDivisionError: division by zero"),
        (["--fail", "interrupt"], 130, "Interrupted."),
        (["--fail", "duckdb"], 130, "Interrupted."),
        (["--fail", "runtime"], 1, "Unexpected error: RuntimeError: out of luck"),
        (["--count", "many"], 2, "Invalid value for '--count'"),
        (["--cuont", "1"], 2, "cuont"),
        (["--fail", "--count", "1"], 2, "`--fail` needs a value; `--count` follows it."),
        (["--help"], 0, ""),
    ],
)
def test_exit_codes(arguments: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(command, arguments) == code
    captured = capsys.readouterr()
    assert message in captured.err
    assert "Traceback" not in captured.err


def test_debug_shows_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(command, ["--fail", "data", "--debug"]) == 3
    assert "Traceback" in capsys.readouterr().err


def test_json_stands_alone_on_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(command, ["--json", "--count", "4"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {"count": 4}
    assert "for people" in captured.err


def test_help_names_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    run_command(command, ["--help"], prog="python -m tfrec.example")
    out = capsys.readouterr().out
    for text in ("python -m tfrec.example", "--fail", "--count", "--json", "--debug", "How to fail."):
        assert text in out


def test_a_script_is_named_as_it_is_called(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def script(count: Annotated[int, typer.Option(help="A number.")] = 1) -> None:
        """Does nothing."""

    script.__module__ = "__main__"
    monkeypatch.setattr("sys.argv", ["deploy/some_demo.py"])
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", None)
    run_command(script, ["--help"])
    assert "Usage: python deploy/some_demo.py" in capsys.readouterr().out


def test_table_shows_floats_with_four_decimals(capsys: pytest.CaptureFixture[str]) -> None:
    console().print(make_table("title", ["name", "value"], [["a", 0.123456], ["b", 3]]))
    out = capsys.readouterr().out
    assert "0.1235" in out
    assert "0.12345" not in out


def test_a_narrow_table_keeps_the_names_whole(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [[name, *[1234.5] * 9] for name in ("recall@10", "recall@20")]
    narrow = console()
    narrow.width = 60
    narrow.print(make_table("", ["metric", *"abcdefghi"], rows))
    out = capsys.readouterr().out
    assert "recall@10" in out
    assert "recall@20" in out


def test_closest_name() -> None:
    assert did_you_mean("gru4rek", ["gru4rec", "markov"]) == "Did you mean `gru4rec`? Known: `gru4rec`, `markov`."
    assert did_you_mean("zzz", ["gru4rec"]) == "Known: `gru4rec`."
