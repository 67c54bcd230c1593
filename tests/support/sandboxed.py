"""Run a command with no more rights than a systemd unit leaves it, where there is no systemd.

    python -m tests.support.sandboxed SYSCALLS FAMILIES COMMAND...

SYSCALLS are the names of the system calls that are allowed, with commas between; all others fail with EPERM. FAMILIES
are those of sockets, as AF_INET. The command gets no capability, no new rights by a program that it executes, and makes
files that only its own account may read.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import errno
import os
import socket
import sys

PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 24, 38
MAX_CAPABILITY = 63
ALLOW, FAIL_WITH = 0x7FFF0000, 0x00050000
"""libseccomp's SCMP_ACT_ALLOW, and SCMP_ACT_ERRNO without its number."""
UNKNOWN = -1
EQUAL = 4
"""SCMP_CMP_EQ."""


def main() -> None:
    """Give the rights up, and become the command."""
    allowed, families, *command = sys.argv[1:]
    libc = ctypes.CDLL(None, use_errno=True)
    # Only root has any, and may drop them; there are fewer than this number of them.
    for capability in range(MAX_CAPABILITY + 1):
        libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "PR_SET_NO_NEW_PRIVS")
    os.umask(0o077)
    _filter_system_calls(set(allowed.split(",")), [socket.AddressFamily[name] for name in families.split(",")])
    os.execvp(command[0], command)  # noqa: S606 - what it is for


class _Comparison(ctypes.Structure):
    """libseccomp's scmp_arg_cmp: an argument of the call and what it has to be."""

    _fields_ = (
        ("argument", ctypes.c_uint),
        ("operator", ctypes.c_int),
        ("value", ctypes.c_uint64),
        ("other", ctypes.c_uint64),
    )


def _filter_system_calls(allowed: set[str], families: list[int]) -> None:
    seccomp = ctypes.CDLL(ctypes.util.find_library("seccomp"))
    seccomp.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(seccomp.seccomp_init(FAIL_WITH | errno.EPERM))
    for name in allowed - {"socket"}:
        number = seccomp.seccomp_syscall_resolve_name(name.encode())
        # systemd's lists have the calls of all architectures.
        if number != UNKNOWN:
            seccomp.seccomp_rule_add(context, ALLOW, number, 0)
    for family in families:
        comparison = _Comparison(0, EQUAL, family, 0)
        call = seccomp.seccomp_syscall_resolve_name(b"socket")
        seccomp.seccomp_rule_add_array(context, ALLOW, call, 1, ctypes.byref(comparison))
    if seccomp.seccomp_load(context):
        raise OSError("The filter of system calls was not taken.")


if __name__ == "__main__":
    main()
