"""The names of keys."""

from __future__ import annotations

import re
import string
from dataclasses import dataclass

from tfrec.errors import ConfigError

DEFAULT_TEMPLATE = "{prefix}:{kind}:{version}:{id}"
DEFAULT_PREFIX = "tfrec"
PLAIN_PREFIX = "tfrec-plain"
_FIELDS = ("prefix", "kind", "version", "id")
_IN_VERSION = re.compile(r"[A-Za-z0-9_-]")
_REMEDY = "For example `{prefix}:{kind}:{version}:{id}`, or `user:{id}` for keys without versions."


@dataclass(frozen=True)
class KeyTemplate:
    """How a key is made of `{prefix}`, `{kind}` (users or items), `{version}` and the raw `{id}`.

    With `{version}`, versions lie beside each other and are switched at once. Without it the layout is flat: a new
    publication overwrites the keys one by one, readers meet both old and new vectors meanwhile, and there is no way
    back.

    Args:
        template: Literal text and fields; `{{` and `}}` stand for braces.
        prefix: What precedes the store's own keys, `{prefix}:meta:...`, and the value of `{prefix}`. Default: `tfrec`;
            `tfrec-plain` without `{version}`, so that a flat publication does not replace the versioned one.

    Attributes:
        store_prefix: The prefix, given or default.

    Raises:
        ConfigError: `{id}` is missing, a field is unknown or occurs twice, or a version could not be told from what
            follows it.

    Example:
        >>> KeyTemplate().parts("items", "20260102T030405Z-1f2e3d")
        ('tfrec:items:20260102T030405Z-1f2e3d:', '')
    """

    template: str = DEFAULT_TEMPLATE
    prefix: str | None = None

    def __post_init__(self) -> None:
        try:
            pieces = list(string.Formatter().parse(self.template))
        except ValueError as error:
            raise ConfigError(f"The key template `{self.template}` is wrong: {error}.", remedy=_REMEDY) from error
        if not self.store_prefix or re.search(r"\s", self.store_prefix):
            raise ConfigError(f"The prefix `{self.store_prefix}` is empty or has white space.")
        names = [name for _, name, _, _ in pieces if name is not None]
        for _, name, spec, conversion in pieces:
            if name is not None and (name not in _FIELDS or spec or conversion):
                raise ConfigError(
                    f"The key template `{self.template}` has the unknown field `{{{name}}}`; known: prefix, kind, "
                    "version, id.",
                    remedy=_REMEDY,
                )
        if names.count("id") != 1 or len(names) != len(set(names)):
            raise ConfigError(f"The key template `{self.template}` needs `{{id}}`, each field once.", remedy=_REMEDY)
        if self.versioned:
            after = pieces[1 + [name for _, name, _, _ in pieces].index("version") :]
            # What follows must begin with literal text, in which `{{` has become `{` already.
            if "id" not in [name for _, name, _, _ in after] or not after[0][0] or _IN_VERSION.match(after[0][0]):
                raise ConfigError(
                    f"In the key template `{self.template}` a sign such as `:` must follow `{{version}}`, and then "
                    "`{id}`.",
                    remedy=_REMEDY,
                )

    @property
    def store_prefix(self) -> str:
        """What precedes the store's own keys."""
        if self.prefix is not None:
            return self.prefix
        return DEFAULT_PREFIX if self.versioned else PLAIN_PREFIX

    @property
    def versioned(self) -> bool:
        """Whether keys contain the version."""
        return "version" in self._fields

    @property
    def has_kind(self) -> bool:
        """Whether keys of users and items differ."""
        return "kind" in self._fields

    @property
    def _fields(self) -> set[str]:
        """Names of the fields; `{{version}}` is none."""
        return {name for _, name, _, _ in string.Formatter().parse(self.template) if name is not None}

    def parts(self, kind: str, version: str) -> tuple[str, str]:
        """Returns what precedes and what follows the raw id in a key."""
        marker = "\0"
        key = self.template.format(prefix=self.store_prefix, kind=kind, version=version, id=marker)
        head, _, tail = key.partition(marker)
        return head, tail
