"""Masks secrets in texts that are logged or printed: whatever wrote them, a library included.

What is masked is known by its form: tokens of attempts in paths, everything that itsdangerous has signed (tokens,
cookies), hashes of passwords, passwords in URLs, headers and form fields that carry secrets, and the values that MySQL
and MariaDB quote in their messages.
"""

from __future__ import annotations

import re

MASK = "***"

_MASKED_HEADERS = "(?:proxy-)?authorization|(?:set-)?cookie|idempotency-key"
_PATTERNS = (
    # An attempt's token is a key to it; a rule's "<token>" stays.
    (re.compile(r"(/attempts/)[^/\s\"'?#<>]+"), rf"\1{MASK}"),
    # Signed by itsdangerous: content, a time (not in every one), and a SHA-1 in base64.
    (re.compile(r"(?<![\w-])\.?[\w-]{10,}(?:\.[\w-]{6,8})?\.[\w-]{27}(?![\w-])", re.ASCII), MASK),
    (re.compile(r"\$argon2\w*\$[^\s'\"]+"), MASK),
    (re.compile(r"(://[^\s/:@'\"]*:)[^\s'\"]+@"), rf"\1{MASK}@"),
    (re.compile(rf"(?i)\b({_MASKED_HEADERS})(['\"]?\s*[:=]\s*)\S[^\r\n]*"), rf"\1\2{MASK}"),
    (re.compile(r"(?i)\b(bearer\s+)(?=\S*[\d.])[\w.~+/=-]{8,}"), rf"\1{MASK}"),
    (re.compile(r"(?i)\b(password|csrf_token|secret_key)=[^&\s'\"]+"), rf"\1={MASK}"),
)  # fmt: skip

_ERROR_WITH_NUMBER = re.compile(r"\((\d{4}), (\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*')\)")
"""How the arguments of a driver's error are printed: the server's number and its message."""
_QUOTED = re.compile("['`\u2018\u201e\u00ab].*['`\u2019\u201c\u00bb]", re.DOTALL)
"""All from the first to the last quotation mark, of whatever language: a value may have marks in it."""
NUMBERS_WITHOUT_VALUES = frozenset(
    {
        1044, 1045, 1130, 1142, 1143, 1227, 1396, 1698, 3159,  # accounts, hosts and privileges
        1046, 1048, 1049, 1051, 1054, 1060, 1061, 1091, 1146, 1305, 1364, 1451, 1452,  # names of the schema
        1040, 1203, 1205, 1213, 1226, 1290, 1792, 1836, 4031,  # the state of the server
    }
)  # fmt: skip
"""Errors whose messages quote names only. Any other may quote what was stored or sent, e.g. 1062: a duplicate entry."""


def redact(text: str) -> str:
    """Return the text without secrets."""
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return _ERROR_WITH_NUMBER.sub(_mask_error, text)


def redact_message(number: object, message: str) -> str:
    """Return the message of a database's error with this number, without secrets."""
    masked = message if number in NUMBERS_WITHOUT_VALUES else _QUOTED.sub(f"'{MASK}'", message)
    return redact(masked)


def _mask_error(match: re.Match[str]) -> str:
    if int(match[1]) in NUMBERS_WITHOUT_VALUES:
        return match[0]
    quote = match[2][0]
    return f"({match[1]}, {quote}{_QUOTED.sub(MASK, match[2][1:-1])}{quote})"
