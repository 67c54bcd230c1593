from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress

import pytest
from argon2 import extract_parameters

from poolproof import event_log
from tests.support.accounts import PASSWORD, PASSWORD_HASH
from tests.support.clock import SettableClock
from tests.support.waiting import wait_until
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


def test_of_a_flood_of_sign_ins_a_few_wait_and_the_next_is_refused_at_once() -> None:
    turns = passwords._Turns(rate=None)

    def take() -> None:
        with turns.take():
            pass

    waiting = [threading.Thread(target=take) for _ in range(passwords.MAX_WAITING)]
    with turns.take():
        for thread in waiting:
            thread.start()
        wait_until(lambda: turns._count == passwords.MAX_WAITING + 1)
        with pytest.raises(BusyError):
            take()
    for thread in waiting:
        thread.join()
    take()


def test_hashes_for_unknown_devices_are_few_in_a_second(clock: SettableClock) -> None:
    clock.stop()
    turns = passwords._Turns(rate=4.0)

    def is_taken() -> bool:
        try:
            with turns.take():
                return True
        except BusyError:
            return False

    assert sum(is_taken() for _ in range(200)) == passwords.BURST
    clock.advance(1.0)
    assert sum(is_taken() for _ in range(200)) == 4


def test_operators_are_told_of_many_refused_sign_ins_once(caplog: pytest.LogCaptureFixture) -> None:
    event_log.drain()
    event_log._last_recorded_at.clear()
    turns = passwords._Turns(rate=0.001)
    for _ in range(3 * int(passwords.BURST)):
        with suppress(BusyError), turns.take():
            pass
    assert [event["sentence"] for event in event_log.drain()] == [passwords.FLOOD]
    assert caplog.messages == [passwords.FLOOD]


@pytest.mark.skipif(sys.platform != "linux", reason="threads have priorities of their own on Linux only")
def test_a_hash_for_an_unknown_device_gives_way_to_players(monkeypatch: pytest.MonkeyPatch) -> None:
    priorities: list[int] = []

    def verify(*_: object) -> bool:
        priorities.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        return True

    monkeypatch.setattr(passwords, "_verify", verify)
    usual = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    assert passwords.verify_password(PASSWORD, PASSWORD_HASH, is_known=False)
    assert passwords.verify_password(PASSWORD, PASSWORD_HASH, is_known=True)
    assert priorities == [max(usual, passwords.NICENESS), usual]


def test_a_known_device_has_a_turn_of_its_own() -> None:
    with passwords.hash_slot(is_known=False), passwords.hash_slot(is_known=True):
        assert passwords.verify_password(PASSWORD, PASSWORD_HASH)


def test_two_random_passwords_differ_and_are_acceptable() -> None:
    first, second = passwords.random_password(), passwords.random_password()
    assert first != second
    assert len(first) >= passwords.MIN_LENGTH


def test_the_hash_for_unknown_names_takes_as_long_to_verify_as_any_other() -> None:
    assert extract_parameters(passwords.UNKNOWN_USER_HASH) == extract_parameters(PASSWORD_HASH)
