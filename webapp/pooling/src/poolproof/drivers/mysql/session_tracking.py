"""What the server says, in its reply to a statement, about changes of the session.

A client that sets CLIENT_SESSION_TRACK gets them behind the message of an OK packet, where the status has
SERVER_SESSION_STATE_CHANGED: a length, and then entries of a kind, a length and data. All lengths are length-encoded
integers (MySQL's "Protocol Basics", OK_Packet; MariaDB's is the same).
"""

from __future__ import annotations

SESSION_STATE_CHANGED = 1 << 14
"""SERVER_SESSION_STATE_CHANGED, which PyMySQL does not list."""
_CHANGES = {
    0,  # SESSION_TRACK_SYSTEM_VARIABLES: one of those that clients are told of
    1,  # SESSION_TRACK_SCHEMA: USE
    2,  # SESSION_TRACK_STATE_CHANGE: any variable, a temporary table, a prepared statement
}
"""The other kinds are about the transaction: its characteristics, its state, its GTID. MySQL 9 sends them unasked."""
_SIZES = {252: 2, 253: 3, 254: 8}
"""How many bytes an integer has that does not fit into its first byte."""


def reports_change(status: int, message: bytes) -> bool:
    """Say whether a reply with this status and message tells of a change that outlasts the transaction."""
    if not status & SESSION_STATE_CHANGED:
        return False
    length, position = _read_length(message, 0)
    _, position = _read_length(message, position + length)
    while position < len(message):
        if message[position] in _CHANGES:
            return True
        length, position = _read_length(message, position + 1)
        position += length
    return False


def _read_length(data: bytes, position: int) -> tuple[int, int]:
    """Return a length, and the position behind it."""
    first = data[position]
    end = position + 1 + _SIZES.get(first, 0)
    return (int.from_bytes(data[position + 1 : end], "little") if first in _SIZES else first), end
