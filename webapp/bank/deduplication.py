"""When two items are the same. Pure."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from json.encoder import encode_basestring_ascii as quoted

# They only choose how the character before them is drawn.
VARIATION_SELECTORS = {*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)}


class CharacterTable(dict[int, str]):
    """A table for `str.translate` that is filled as characters are met."""

    def __init__(self, rule: Callable[[str], str]) -> None:
        """Ask `rule` what becomes of a character."""
        super().__init__()
        self._rule = rule

    def __missing__(self, code: int) -> str:
        """Ask, and remember."""
        self[code] = self._rule(chr(code))
        return self[code]


_visible = CharacterTable(
    lambda one: "" if unicodedata.category(one) == "Cf" or ord(one) in VARIATION_SELECTORS else one,
)
# Marks are parts of letters: without them many scripts lose their vowels.
_alphanumeric = CharacterTable(lambda one: one if unicodedata.category(one)[0] in "LMN" else " ")
# The same for texts in ASCII, and small letters in it: there nothing is invisible, and normalising changes nothing.
_ascii_alphanumeric = bytes(ord(chr(code).lower()) if chr(code).isalnum() else ord(" ") for code in range(128)).ljust(
    256
)


def dedupe_key(stem: str, choices: Sequence[str], right: Iterable[int]) -> bytes:
    """Return 32 bytes that are equal for the same question with the same choices and answer.

    The order of the choices does not count, nor do case, punctuation, blanks and what
    cannot be seen.
    """
    read = _distinct_readings(choices)
    # JSON, because no text can then be taken for the end of another.
    parts = (quoted(normalised(stem)), _json_list(read), _json_list([read[one] for one in right]))
    return hashlib.sha256(f"[{', '.join(parts)}]".encode("ascii")).digest()


def stem_key(stem: str) -> bytes:
    """Return 32 bytes that are equal for stems that read the same, whatever the choices are."""
    return hashlib.sha256(normalised(stem).encode()).digest()


def normalised(text: str) -> str:
    """Return the text's letters and digits, casefolded; a text of symbols alone keeps its symbols."""
    alphanumeric = letters_and_digits(text)
    return alphanumeric if any(map(str.isalnum, alphanumeric)) else folded(text)


@lru_cache(maxsize=256)
def letters_and_digits(text: str) -> str:
    """Return the folded text with a blank in place of everything but letters and digits.

    Remembered for a moment: an item's keys and its words begin with the same reading of its stem.
    """
    if text.isascii():
        return b" ".join(text.encode("ascii").translate(_ascii_alphanumeric).split()).decode("ascii")
    return " ".join(folded(text).translate(_alphanumeric).split())


def folded(text: str) -> str:
    """Return the text NFKC, casefolded, without invisible characters, with single blanks."""
    if text.isascii():
        return " ".join(text.lower().split())
    once = unicodedata.normalize("NFKC", text.translate(_visible)).casefold()
    return " ".join(unicodedata.normalize("NFKC", once).split())


def _json_list(texts: Iterable[str]) -> str:
    return f"[{', '.join(map(quoted, sorted(texts)))}]"


def _distinct_readings(choices: Sequence[str]) -> list[str]:
    # "C", "C++" and "C#", or "-1" and "1", are different choices: where reading without
    # symbols makes two the same, all are read more exactly.
    for reading in (normalised, folded):
        read = [reading(choice) for choice in choices]
        if len(set(read)) == len(read):
            return read
    return list(choices)
