"""Accounts of tests: argon2 is slow on purpose, so the hashes were made once and stand here."""

from __future__ import annotations

FORM = "$argon2id$v=19$m=65536,t=3,p=4$"
PASSWORD = "a long enough password"
PASSWORD_HASH = FORM + "NA63GABnYZUM/Z5b0XszLQ$MY1F7dQ0S4QFKWw/BDu2F6fXXGJ3gv46S3+5JSBSli4"
AUTHORS_PASSWORD_HASH = FORM + "nXWU6eq0JzvchZq4UHsdvw$FZMQnJHJSEXNPzHJSKbFF2ekA/eaTJ0I36q28f71LJA"
OPERATORS_PASSWORD_HASH = FORM + "4yKnFEpyM3/Ls4cO91QwTQ$/ebEisc7NgOor7YeCLP2a5FnoLvDKbqpoO+/NQ2Pj+A"
