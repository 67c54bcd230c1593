"""When two items are the same: the dedupe key. Pure."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable


def dedupe_key(stem: str, choices: Iterable[str], right: Iterable[str]) -> bytes:
    """Return the SHA-256 by which an item is known again.

    The same question with the same choices and answer is the same item, whatever the
    order, case, punctuation or invisible characters. The choices count: real banks hold
    equal stems with other choices, and those are different questions.
    """
    parts = [plain(stem), *sorted(map(plain, choices)), "", *sorted(map(plain, right))]
    # A separator that `plain` never leaves, so that no two lists of parts read alike.
    return hashlib.sha256("\x1f".join(parts).encode()).digest()


def plain(text: str) -> str:
    """Return the text for comparison: NFKC, casefolded, format characters dropped, words single-spaced.

    A text of symbols alone ("+", "−", "∞") would become empty, and all of them equal; it
    keeps its symbols.
    """
    # Casefolding may undo the normal form, so it is made again.
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    visible = "".join(one for one in folded if unicodedata.category(one) != "Cf")
    words = "".join(one if one.isalnum() else " " for one in visible).split()
    return " ".join(words) or " ".join(visible.split())
