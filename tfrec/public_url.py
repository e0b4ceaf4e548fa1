"""URLs as they may be shown and stored."""

from __future__ import annotations

import re

_LOGIN = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]+://)[^/@:]*:[^/@]*@")
_WEB = re.compile(r"^(https?://)([^/?#]*@)?([^?#]*)", re.IGNORECASE)


def public_url(url: str) -> str:
    """Returns a URL without password and, for http, without login and query (signed URLs carry the key there).

    Args:
        url: A URL; anything else, such as a local path, is returned as it is.

    Example:
        >>> public_url("https://me:secret@host/a.parquet?signature=abc")
        'https://host/a.parquet'
    """
    found = _WEB.match(url)
    return found[1] + found[3] if found else _LOGIN.sub(r"\1", url)
