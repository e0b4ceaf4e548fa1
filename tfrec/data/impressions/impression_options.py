"""Everything that decides the result of a conversion of impressions."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

from pydantic import Field, ValidationError, model_validator

from tfrec.config.impression_schema import ImpressionSchema
from tfrec.config.strict_model import StrictModel
from tfrec.errors import ConfigError


class ImpressionOptions(StrictModel):
    """Options of `tfrec.convert --impressions`.

    The rules of `split`: `random` rows; `tail`, the last rows in the order of the files; `time`, the last rows by
    `time_column`; `day`, the last values of `day_column` in the order in which they first appear; `given`, files of
    their own for every split.
    """

    output: str
    impressions: ImpressionSchema
    input: tuple[str, ...] = ()
    train: tuple[str, ...] = ()
    valid: tuple[str, ...] = ()
    test: tuple[str, ...] = ()
    format: str | None = None
    split: Literal["random", "tail", "time", "day", "given"] = "random"
    valid_fraction: float = Field(0.1, ge=0, lt=1)
    test_fraction: float = Field(0.1, ge=0, lt=1)
    day_column: str | None = None
    time_column: str | None = None
    valid_days: int = Field(1, ge=0)
    test_days: int = Field(1, ge=0)
    sample: int | None = Field(None, ge=1)
    stratify: str | None = None
    shards: int | None = Field(None, ge=1, le=10_000)
    compression: Literal["none", "gzip"] = "none"
    seed: int = Field(0, ge=0)
    overwrite: bool = False
    resume: bool = False
    dry_run: bool = False

    @model_validator(mode="after")
    def _consistent(self) -> ImpressionOptions:
        given = bool(self.train or self.valid or self.test)
        if given != (self.split == "given"):
            raise ValueError("split=given goes with --train, --valid and --test, the other rules with --input")
        if given and (self.input or not self.train):
            raise ValueError("with given splits pass --train, and --valid or --test, but not --input")
        if not given and not self.input:
            raise ValueError("no input: name files with --input, or with --train, --valid and --test")
        if (self.split == "day") != (self.day_column is not None):
            raise ValueError("split=day and --day-col go together")
        if (self.split == "time") != (self.time_column is not None):
            raise ValueError("split=time and --time-col go together")
        if self.valid_fraction + self.test_fraction >= 1.0:
            raise ValueError("valid_fraction and test_fraction leave nothing for training")
        if self.stratify is not None and self.sample is None:
            raise ValueError("--stratify goes with --sample")
        return self

    def fingerprint(self) -> str:
        """Returns a text that is equal for conversions that may continue one another."""
        return self.model_dump_json(exclude={"overwrite", "resume", "dry_run"})


def impression_options(**values: object) -> ImpressionOptions:
    """Returns checked options.

    Raises:
        ConfigError: A value is outside its domain, or two of them contradict one another.
    """
    try:
        return ImpressionOptions.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        problem = first["msg"].removeprefix("Value error, ")
        where = f"`{name}`" if name else "The options contradict themselves"
        raise ConfigError(f"{where}: {problem}.") from error


def check_split_flags(given: Collection[str], rule: str) -> None:
    """Raises ConfigError where a flag says how much another split rule takes.

    Args:
        given: Names of the flags that were given.
        rule: The rule of `split`.

    Example:
        >>> check_split_flags(["valid_fraction", "seed"], "random")
    """
    for part, rules in (("days", ("day",)), ("fraction", ("random", "tail", "time"))):
        wrong = [name for name in (f"valid_{part}", f"test_{part}") if name in given]
        if wrong and rule not in rules:
            raise ConfigError(
                f"`--{wrong[0].replace('_', '-')}` does not go with `--split {rule}` of impressions.",
                remedy=f"Leave it out, or pass `--split {'|'.join(rules)}`.",
            )
