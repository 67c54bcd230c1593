"""The largest pool of an application that its server has room for."""

from __future__ import annotations

from poolproof.adoption.doctor import check_server
from poolproof.capacity.budget import RELOAD_FACTOR, RESERVED_CONNECTIONS, Level
from poolproof.capacity.server_info import ServerInfo
from poolproof.lab.sizing.recommendation import FittedSize


def fit_app_to_server(size: int, workers: int, server: ServerInfo | None) -> FittedSize:
    """Return the size, or the largest below it with which so many processes fit the server."""
    for smaller in range(size, 0, -1):
        (finding,) = check_server("server", smaller, workers, server)
        if finding.level is Level.FAIL and smaller > 1:
            continue
        sentences = [finding.sentence, *([finding.remedy] if finding.remedy else [])]
        if smaller < size:
            sentences.append(f"{size} would be better, but the server has no room for it: raise its limit.")
        return FittedSize(smaller, workers * smaller * RELOAD_FACTOR + RESERVED_CONNECTIONS, tuple(sentences))
    raise ValueError("a pool has at least one connection")
