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
        ConfigError: The address has another form, which is not repeated, or the certificate file does not exist.
    """
    trusted = None if ca_file is None else Path(ca_file)
    if trusted is not None and not trusted.is_file():
        raise ConfigError(f"The certificate file `{trusted}` does not exist.")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise _refused("has a host or port that cannot be read") from None
    if parts.scheme not in ("grpc", "grpcs", "http", "https"):
        raise _refused("begins with none of grpc://, grpcs://, http:// and https://")
    if "@" in url:
        raise _refused("holds a name or password, which model servers do not ask for")
    if parts.query or parts.fragment:
        raise _refused("has a query or a fragment")
    if not host:
        raise _refused("names no host")
    if parts.scheme in ("http", "https"):
        return RestTransport(url, ca_file=trusted)
    if port is None:
        raise _refused("names no port, which gRPC needs")
    if parts.path not in ("", "/"):
        raise _refused("has a path, which gRPC does not take")
    target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return GrpcTransport(target, secure=parts.scheme == "grpcs", ca_file=trusted)


def _refused(rule: str) -> ConfigError:
    """Says which rule was broken and does not repeat the address: there may be a password in it."""
    return ConfigError(f"The address of the model server {rule}.", remedy=_FORMS)
