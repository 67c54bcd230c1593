"""Programs that a deployment is made with: the ones on the PATH, otherwise Debian's, unpacked without root."""

from __future__ import annotations

import shutil
from pathlib import Path

from webapp.lab.services.debian import loader_command, unpack_packages


def find_docker_compose() -> tuple[str, ...]:
    """Return the command of Docker Compose; to read its file it needs no daemon."""
    return _find("docker-compose", "docker-compose", "usr/libexec/docker/cli-plugins/docker-compose")


def _find(name: str, package: str, program: str) -> tuple[str, ...]:
    folders = f"{Path('/usr/sbin')}"
    if path := shutil.which(name) or shutil.which(name, path=folders):
        return (path,)
    root = unpack_packages(name, package)
    return loader_command(root, root / program)
