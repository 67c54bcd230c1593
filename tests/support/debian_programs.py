"""Programs that a deployment is made with, as Debian has them: unpacked, without root."""

from __future__ import annotations

import shutil

from webapp.lab.services.debian import loader_command, unpack_packages


def find_docker_compose() -> tuple[str, ...]:
    """Return the command of Docker Compose, from the PATH if it is there; to read its file it needs no daemon."""
    if path := shutil.which("docker-compose"):
        return (path,)
    root = unpack_packages("docker-compose", "docker-compose")
    return loader_command(root, root / "usr/libexec/docker/cli-plugins/docker-compose")


def find_systemd_analyze() -> tuple[tuple[str, ...], dict[str, str]]:
    """Return the command of systemd-analyze, and the environment in which it finds the units of its own release."""
    root = unpack_packages("systemd", "systemd")
    loader, option, libraries, program = loader_command(root, root / "usr" / "bin" / "systemd-analyze")
    own = [str(folder) for folder in root.glob("usr/lib/*/systemd")]
    environment = {"SYSTEMD_UNIT_PATH": str(root / "usr" / "lib" / "systemd" / "system"), "LANG": "C.UTF-8"}
    return (loader, option, ":".join([libraries, *own]), program), environment
