from __future__ import annotations

import pytest

from poolproof import event_log
from poolproof.transactions.unit_of_work import UnitOfWork
from tests.support.accounts import PASSWORD, PASSWORD_HASH
from webapp.accounts import authentication, devices, users
from webapp.accounts.authentication import authenticate
from webapp.accounts.roles import Role
from webapp.accounts.throttle import FREE_FAILURES, ThrottledKeys
from webapp.errors import ForbiddenError, SignInRequiredError, SignInThrottledError

UNKNOWN = devices.new_device()


@pytest.fixture(autouse=True)
def ada(work: UnitOfWork, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authentication, "_throttled", ThrottledKeys())
    work.run_in_transaction(lambda connection: users.add(connection, "ada", PASSWORD_HASH, Role.AUTHOR))


def guess(work: UnitOfWork, name: str, times: int) -> None:
    for number in range(times):
        with pytest.raises(SignInRequiredError):
            authenticate(work, name, f"guess {number}", UNKNOWN)


def test_name_and_password_belong_together_or_not(work: UnitOfWork) -> None:
    assert authenticate(work, "ADA", PASSWORD, UNKNOWN).name == "ada"
    for name, password in (("ada", "not this one"), ("grace", PASSWORD)):
        with pytest.raises(SignInRequiredError):
            authenticate(work, name, password, UNKNOWN)


@pytest.mark.parametrize("name", ["ada", "nobody at all"])
def test_after_some_wrong_passwords_even_the_right_one_has_to_wait(work: UnitOfWork, name: str) -> None:
    event_log.drain()
    event_log._last_recorded_at.clear()
    guess(work, name, FREE_FAILURES)
    with pytest.raises(SignInThrottledError):
        authenticate(work, name, PASSWORD, UNKNOWN)
    (event,) = [event for event in event_log.drain() if event["kind"] == "guessing"]
    assert ("ada" in event["sentence"]) == (name == "ada"), "what was typed may be a password"


def test_all_spellings_of_a_name_are_counted_together(work: UnitOfWork) -> None:
    for spelling in ("ada", "ADA", "ada ", " ada", "Ada   ")[:FREE_FAILURES]:
        guess(work, spelling, 1)
    with pytest.raises(SignInThrottledError):
        authenticate(work, "ada  ", PASSWORD, UNKNOWN)


def test_a_blank_after_the_name_is_no_other_name(work: UnitOfWork) -> None:
    assert authenticate(work, "Ada ", PASSWORD, UNKNOWN).name == "ada"


def test_the_owner_on_a_known_device_does_not_wait(work: UnitOfWork) -> None:
    guess(work, "ada", FREE_FAILURES)
    known = devices.new_device().with_name("ada")
    assert authenticate(work, "ada", PASSWORD, known).name == "ada"


def test_a_stolen_device_cookie_does_not_open_the_door_to_guessing(work: UnitOfWork) -> None:
    stolen = devices.new_device().with_name("ada")
    for number in range(FREE_FAILURES):
        with pytest.raises(SignInRequiredError):
            authenticate(work, "ada", f"guess {number}", stolen)
    with pytest.raises(SignInThrottledError):
        authenticate(work, "ada", "guess", stolen)


def test_a_right_password_begins_the_count_anew(work: UnitOfWork) -> None:
    guess(work, "ada", FREE_FAILURES - 1)
    assert authenticate(work, "ada", PASSWORD, UNKNOWN).name == "ada"
    guess(work, "ada", FREE_FAILURES - 1)


def test_a_disabled_user_is_told_with_the_right_password_only(work: UnitOfWork) -> None:
    work.run_in_transaction(lambda connection: users.disable(connection, "ada"))
    with pytest.raises(SignInRequiredError):
        authenticate(work, "ada", "not this one", UNKNOWN)
    with pytest.raises(ForbiddenError):
        authenticate(work, "ada", PASSWORD, UNKNOWN)
