from __future__ import annotations

import pytest

from webapp.accounts import devices

KEY = "a key of more than thirty-two characters"


def test_a_cookie_knows_who_has_signed_in_on_its_device() -> None:
    device = devices.new_device().with_name("Ada").with_name("grace")
    same = devices.read_device(devices.issue(device, KEY), KEY)
    assert same == device
    assert [same.knows(name) for name in ("ADA", "grace", "linus")] == [True, True, False]


@pytest.mark.parametrize("cookie", ["", "nonsense", "WzFd.aaaa.bbbb"])
def test_a_cookie_that_is_not_ours_is_an_unknown_device(cookie: str) -> None:
    assert devices.read_device(cookie, KEY).names == ()


def test_a_cookie_of_another_key_is_an_unknown_device() -> None:
    cookie = devices.issue(devices.new_device().with_name("ada"), "another key of more than thirty characters")
    assert not devices.read_device(cookie, KEY).knows("ada")


def test_a_device_remembers_so_many_names() -> None:
    device = devices.new_device()
    for number in range(20):
        device = device.with_name(f"user{number}")
    assert len(device.names) == devices.MAX_NAMES
    assert device.knows("user19")
