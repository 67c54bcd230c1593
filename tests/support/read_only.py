"""Run a command that can write to some folders and nowhere else, as `ProtectSystem=strict` of systemd has it.

    python -m tests.support.read_only FOLDERS COMMAND...

FOLDERS have a colon between. It needs the right to mount in a namespace of its own: root has it, and everybody where
the kernel allows such namespaces.
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

CLONE_NEWNS, CLONE_NEWUSER = 0x20000, 0x10000000
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 0x40000
MOUNT_SETATTR = 442
"""The number of the system call, the same on every architecture."""
AT_FDCWD, AT_RECURSIVE, RDONLY = -100, 0x8000, 1

_libc = ctypes.CDLL(None, use_errno=True)


class _Attributes(ctypes.Structure):
    """The kernel's mount_attr."""

    _fields_ = (
        ("attr_set", ctypes.c_uint64),
        ("attr_clr", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    )


def main() -> None:
    """Make a view of the files of its own, and become the command in it."""
    folders, *command = sys.argv[1:]
    user, group = os.geteuid(), os.getegid()
    _must_be_zero(_libc.unshare(CLONE_NEWNS | (CLONE_NEWUSER if user else 0)), "unshare")
    if user:
        Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1", encoding="ascii")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1", encoding="ascii")
    _mount(b"none", b"/", MS_REC | MS_PRIVATE)
    for folder in folders.split(":"):
        _mount(folder.encode(), folder.encode(), MS_BIND)
    _set_attributes("/", _Attributes(RDONLY, 0, 0, 0))
    for folder in folders.split(":"):
        _set_attributes(folder, _Attributes(0, RDONLY, 0, 0))
    os.execvp(command[0], command)  # noqa: S606 - what it is for


def _mount(source: bytes, target: bytes, flags: int) -> None:
    _must_be_zero(_libc.mount(source, target, None, ctypes.c_ulong(flags), None), "mount")


def _set_attributes(path: str, attributes: _Attributes) -> None:
    size = ctypes.c_size_t(ctypes.sizeof(attributes))
    done = _libc.syscall(MOUNT_SETATTR, AT_FDCWD, path.encode(), AT_RECURSIVE, ctypes.byref(attributes), size)
    _must_be_zero(done, "mount_setattr")


def _must_be_zero(result: int, call: str) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, f"{call}: {os.strerror(number)}")


if __name__ == "__main__":
    main()
