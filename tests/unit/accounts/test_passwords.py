from __future__ import annotations

import pytest
from argon2 import extract_parameters

from tests.support.accounts import PASSWORD, PASSWORD_HASH
from webapp.accounts import passwords
from webapp.errors import BusyError, InvalidInputError


def test_a_password_is_known_again() -> None:
    assert passwords.verify_password(PASSWORD, PASSWORD_HASH)
    assert not passwords.verify_password(PASSWORD + "!", PASSWORD_HASH)


def test_nobody_has_no_right_password() -> None:
    assert not passwords.verify_password(PASSWORD, None)


@pytest.mark.parametrize("password", ["short", "x" * 257])
def test_a_password_of_a_bad_length_is_refused(password: str) -> None:
    with pytest.raises(InvalidInputError):
        passwords.hash_password(password)


def test_a_flood_of_sign_ins_waits_and_then_is_turned_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "HASH_SLOT_TIMEOUT", 0.01)
    with passwords._hash_slot(), passwords._hash_slot(), pytest.raises(BusyError):
        passwords.verify_password(PASSWORD, PASSWORD_HASH)


def test_two_random_passwords_differ_and_are_acceptable() -> None:
    first, second = passwords.random_password(), passwords.random_password()
    assert first != second
    assert len(first) >= passwords.MIN_LENGTH


def test_the_hash_for_unknown_names_takes_as_long_to_verify_as_any_other() -> None:
    assert extract_parameters(passwords.UNKNOWN_USER_HASH) == extract_parameters(PASSWORD_HASH)
