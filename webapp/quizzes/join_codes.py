"""Join codes: six characters with which a player finds a quiz. Pure functions.

A code is read from a screen across a room and typed on a phone, so it has no two characters that look alike: of each
such pair one is in the alphabet, and the other one is read as it. There are no vowels and no digits that stand for
them, and never three letters in a row, so that no code is a word or the abbreviation of one.
"""

from __future__ import annotations

import secrets
import unicodedata

LETTERS = "CDFHJKMNPRTVWXY"
DIGITS = "25679"
CODE_LENGTH = 6
GROUP = 3
"""A code is shown in two groups of this length."""
MAX_LETTERS_IN_A_ROW = 2
MAX_TYPED_LENGTH = 40
"""Characters that are looked at of what was typed."""

_LOOK_ALIKES = str.maketrans({"Z": "2", "S": "5", "G": "6", "O": "D", "Q": "D", "0": "D"})
"""What is not in the alphabet, and looks like one character of it only. What looks like none, as 1, I and L, stays."""
_SEPARATORS = str.maketrans("", "", " -\u2010\u2011\u2012\u2013\u2014_.\u00b7\t\r\n\u00a0")


def new_code() -> str:
    """Return a code at random: one of more than sixteen million."""
    while True:
        code = "".join(secrets.choice(LETTERS + DIGITS) for _ in range(CODE_LENGTH))
        if not _may_be_a_word(code):
            return code


def fold(typed: str) -> str | None:
    """Return the code that was meant by what was typed; None where it cannot be one.

    Case, blanks, hyphens and the width of characters, which an East Asian keyboard changes, make no difference.
    """
    plain = unicodedata.normalize("NFKC", typed[:MAX_TYPED_LENGTH]).translate(_SEPARATORS).upper()
    code = plain.translate(_LOOK_ALIKES)
    return code if len(code) == CODE_LENGTH and all(character in LETTERS + DIGITS for character in code) else None


def in_groups(code: str) -> str:
    """Return a code as it is shown: two groups of three."""
    return f"{code[:GROUP]} {code[GROUP:]}"


def _may_be_a_word(code: str) -> bool:
    letters = 0
    for character in code:
        letters = letters + 1 if character in LETTERS else 0
        if letters > MAX_LETTERS_IN_A_ROW:
            return True
    return False
