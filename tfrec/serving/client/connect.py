"""From an address to a transport."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from tfrec.errors import ConfigError
from tfrec.serving.client.grpc_transport import GrpcTransport
from tfrec.serving.client.rest_transport import RestTransport
from tfrec.serving.client.transport import Transport

_FORMS = "Give grpc://host:8500, grpcs://host:port, http://host:8501 or https://host:port."


def connect(url: str, *, ca_file: str | Path | None = None) -> Transport:
    """Returns the transport of an address; nothing is sent yet.

    Args:
        url: `grpc://host:port`, `grpcs://host:port`, `http://host:port` or `https://host:port`.
        ca_file: PEM file of the certificates to trust, for `grpcs` and `https`. Default: the usual ones.

    Raises:
        ConfigError: The address has another form, or the certificate file does not exist.
    """
    trusted = None if ca_file is None else Path(ca_file)
    if trusted is not None and not trusted.is_file():
        raise ConfigError(f"The certificate file `{trusted}` does not exist.")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigError(f"The address `{url}` is not valid ({error}).", remedy=_FORMS) from error
    if host and not (parts.username or parts.query or parts.fragment):
        if parts.scheme in ("grpc", "grpcs") and port is not None and parts.path in ("", "/"):
            target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            return GrpcTransport(target, secure=parts.scheme == "grpcs", ca_file=trusted)
        if parts.scheme in ("http", "https"):
            return RestTransport(url, ca_file=trusted)
    raise ConfigError(f"The address `{url}` is not one of a model server.", remedy=_FORMS)
