"""What browsers do beside their requests, and how often: the model of `poolproof lab push --browsers`. Pure.

A test opens a quiz in a real Chromium behind a recording proxy and compares it with this model behind the same proxy.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from enum import Enum

HEADERS = (
    "Connection: keep-alive\r\n"
    "User-Agent: Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 "
    "Mobile Safari/537.36\r\n"
    "Accept: */*\r\n"
    "Accept-Encoding: gzip, deflate, br, zstd\r\n"
    "Accept-Language: en-GB,en;q=0.9\r\n"
    'sec-ch-ua: "Chromium";v="140", "Not=A?Brand";v="24"\r\n'
    "sec-ch-ua-mobile: ?1\r\n"
    'sec-ch-ua-platform: "Android"\r\n'
    "Sec-Fetch-Site: same-origin\r\n"
)
"""Headers of Chromium's that matter by their size: a request of a browser has a head of about 600 bytes."""
MAX_CONNECTIONS = 6
"""Connections that a browser opens to one host over HTTP/1.1."""
FILE_ORDER = (".css", ".js")
"""A page cannot be shown without its style sheets, and is not alive without its scripts; images come last."""

_FILE_ADDRESS = re.compile(r'(?:src|href)="(/files/[^"#]+)')


class Ending(Enum):
    """How a visit ends."""

    PLAYED = "played to the end"
    SILENT = "vanishes in the middle of an answer, and its connections stay open"
    RESET = "vanishes in the middle of an answer, and its connections are reset"


@dataclass(frozen=True)
class SlowLine:
    """A slow line: the bytes a second in either direction, and the seconds until the first of them arrives."""

    bytes_per_second: float = 16_000
    latency: float = 0.3


@dataclass(frozen=True)
class BrowserModel:
    """Shares of the users, and times in seconds."""

    parse_delay: tuple[float, float] = (0.02, 0.2)
    """From the page's last byte to the requests for its files; from a fast machine to a phone."""
    returning: float = 0.2
    """Have the page's files in their cache: their second connection is never used."""
    spare: float = 0.1
    """Open a third connection that is never used."""
    vanishing: float = 0.04
    """Vanish in the middle of an answer; half of them leave their connections open."""
    slow: float = 0.05
    """Are on a slow line."""


@dataclass(frozen=True)
class BrowserTraits:
    """What one user's browser does."""

    parse_delay: float
    has_cached_files: bool
    has_spare_connection: bool
    ending: Ending
    line: SlowLine | None
    """None: a line that is not noticed."""


def draw_traits(model: BrowserModel, number: int) -> BrowserTraits:
    """Return the traits of the user with this number; the same each time."""
    rng = random.Random(f"browser {number}")
    delay = rng.uniform(*model.parse_delay)
    cached, spare, slow = rng.random() < model.returning, rng.random() < model.spare, rng.random() < model.slow
    chance = rng.random()
    if chance < model.vanishing:
        ending = Ending.SILENT if chance < model.vanishing / 2 else Ending.RESET
    else:
        ending = Ending.PLAYED
    return BrowserTraits(delay, cached, spare, ending, SlowLine() if slow else None)


def files_of(page: str) -> list[str]:
    """Return the paths of the files that a page names, each once, in the order in which a browser requests them."""
    paths = dict.fromkeys(_FILE_ADDRESS.findall(page))
    return sorted(paths, key=lambda path: next((n for n, end in enumerate(FILE_ORDER) if end in path), len(FILE_ORDER)))
