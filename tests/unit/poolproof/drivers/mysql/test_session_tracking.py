"""What a reply says about changes of the session; the replies are those that MySQL 9.7 and MariaDB 11.8 have sent."""

from __future__ import annotations

import pytest

from poolproof.drivers.mysql.session_tracking import SESSION_STATE_CHANGED, reports_change


@pytest.mark.parametrize(
    ("statement", "message", "expected"),
    [
        ("SET @x = 1", b"\x00\x03\x02\x011", True),
        ("SET time_zone = '+00:00'", b"\x00\x16\x00\x11\ttime_zone\x06+00:00\x02\x011", True),
        ("USE mysql", b"\x00\x0b\x01\x06\x05mysql\x02\x011", True),
        ("PREPARE p FROM 'SELECT 1'", b"\x12Statement prepared\x03\x02\x011", True),
        ("BEGIN", b"\x00\x0b\x05\t\x08T_______", False),
        ("COMMIT", b"\x00\x0b\x05\t\x08________", False),
        ("COMMIT, and a variable after it", b"\x00\x0e\x05\t\x08________\x02\x011", True),
        ("a long message", b"\xfc\x2c\x01" + b"m" * 300 + b"\x03\x02\x011", True),
        ("a GTID", b"\x00\x05\x03\x03\x00\x01g", False),
    ],
)
def test_a_change_of_the_transaction_is_no_change_of_the_session(
    statement: str, message: bytes, expected: bool
) -> None:
    assert reports_change(SESSION_STATE_CHANGED | 2, message) is expected


def test_without_the_flag_a_message_is_not_looked_at() -> None:
    assert not reports_change(2, b"Records: 3  Duplicates: 1  Warnings: 0")
