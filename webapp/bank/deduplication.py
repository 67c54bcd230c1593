"""Keys by which equal items are recognised. Pure."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from json.encoder import encode_basestring_ascii as quoted

# They only choose the appearance of the character before them.
VARIATION_SELECTORS = {*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)}


class CharacterTable(dict[int, str]):
    """A table for `str.translate` that computes a character's replacement when it first occurs."""

    def __init__(self, rule: Callable[[str], str]) -> None:
        """Replace each character by what `rule` returns for it."""
        super().__init__()
        self._rule = rule

    def __missing__(self, code: int) -> str:
        """Compute and keep the replacement of a character."""
        self[code] = self._rule(chr(code))
        return self[code]


_visible = CharacterTable(
    lambda char: "" if unicodedata.category(char) == "Cf" or ord(char) in VARIATION_SELECTORS else char,
)
# Marks are parts of letters: without them many scripts lose their vowels.
_alphanumeric = CharacterTable(lambda char: char if unicodedata.category(char)[0] in "LMN" else " ")
# The same for ASCII, with lower case: ASCII has nothing invisible, and normalising changes nothing in it.
_ascii_alphanumeric = bytes(ord(chr(code).lower()) if chr(code).isalnum() else ord(" ") for code in range(128)).ljust(
    256
)


def dedupe_key(stem: str, choices: Sequence[str], right: Iterable[int]) -> bytes:
    """Return 32 bytes that are equal for the same question with the same choices and answer.

    The order of the choices does not count, nor do case, punctuation, blanks and invisible
    characters.
    """
    readings = _distinct_readings(choices)
    # JSON separates the texts unambiguously.
    parts = (quoted(normalised(stem)), _json_list(readings), _json_list([readings[position] for position in right]))
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

    Cached, because an item's keys and its words are computed from the same stem one after the other.
    """
    if text.isascii():
        return b" ".join(text.encode("ascii").translate(_ascii_alphanumeric).split()).decode("ascii")
    return " ".join(folded(text).translate(_alphanumeric).split())


def folded(text: str) -> str:
    """Return the text NFKC, casefolded, without invisible characters, with single blanks."""
    if text.isascii():
        return " ".join(text.lower().split())
    casefolded = unicodedata.normalize("NFKC", text.translate(_visible)).casefold()
    return " ".join(unicodedata.normalize("NFKC", casefolded).split())


def _json_list(texts: Iterable[str]) -> str:
    return f"[{', '.join(map(quoted, sorted(texts)))}]"


def _distinct_readings(choices: Sequence[str]) -> list[str]:
    # "C", "C++" and "C#", or "-1" and "1", are different choices: where two are equal without
    # their symbols, all keep them.
    for normalise in (normalised, folded):
        readings = [normalise(choice) for choice in choices]
        if len(set(readings)) == len(readings):
            return readings
    return list(choices)
