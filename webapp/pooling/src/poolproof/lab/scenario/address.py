"""The address of an application that is visited."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit

from poolproof.lab.hosts import is_local_host

DEFAULT_PORTS = {"http": 80, "https": 443}


class AddressError(Exception):
    """It is no address of an HTTP server; the text says why."""


@dataclass(frozen=True)
class Address:
    """Where an application is served."""

    scheme: str
    host: str
    port: int
    prefix: str = ""
    """What stands before every path."""

    def __str__(self) -> str:
        """Return it as it is written."""
        port = "" if self.port == DEFAULT_PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{self.host}{port}{self.prefix}"

    @property
    def is_local(self) -> bool:
        """Whether it is this machine's."""
        return is_local_host(self.host)

    def tls(self, *, verify: bool = True) -> ssl.SSLContext | None:
        """Return how TLS is spoken; None where it is not."""
        if self.scheme != "https":
            return None
        context = ssl.create_default_context()
        if not verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def parse_address(text: str) -> Address:
    """Read an address, as in http://127.0.0.1:8000.

    Raises:
        AddressError: when it is none.
    """
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise AddressError(f"{text} is no address: {error}.") from error
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        raise AddressError(f"{text} is no address: write it as http://127.0.0.1:8000.")
    if parts.username or parts.query or parts.fragment:
        raise AddressError("An address has a host, a port and a path; everything else is in the scenario.")
    return Address(parts.scheme, parts.hostname, port or DEFAULT_PORTS[parts.scheme], parts.path.rstrip("/"))
