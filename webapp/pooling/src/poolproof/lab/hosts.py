"""Whether a host is this machine: what is loaded or watched elsewhere needs a confirmation, or cannot be seen."""

from __future__ import annotations

import ipaddress
import socket


def is_local_host(host: str) -> bool:
    """Return whether a host is this machine: all its addresses are loopback addresses."""
    try:
        addresses = [info[4][0] for info in socket.getaddrinfo(host, None)]
    except OSError:
        return False
    return all(ipaddress.ip_address(address).is_loopback for address in addresses)
