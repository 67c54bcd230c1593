"""docker-compose.yml, as far as it can be tried without a registry of images: its form, and what the service gets."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from poolproof.settings import PoolSettings
from poolproof.settings import variable as pool_variable
from tests.support.debian_programs import find_docker_compose
from webapp.lab.services.poolproof_service import run_poolproof_service
from webapp.settings import SETTING_PREFIXES, ServiceSettings, load_settings
from webapp.web.server.file_limit import MAX_CONNECTIONS, connections_for

PROJECT = Path(__file__).resolve().parents[2]
FILE = PROJECT / "docker-compose.yml"
GUNICORN = PROJECT / "gunicorn.conf.py"
KEY = "k" * 32
OURS = ("app", "collector")
DECIDED_HERE = {
    "POOLPROOF_BIND": "the container's port, which is published",
    "POOLPROOF_CONSOLE_BIND": "the container's port, which is published",
    "POOLPROOF_INSTANCE": "the volume",
    "POOLPROOF_COLLECTOR_PROCESSES": "a container of its own has them",
}
"""Settings that a deployment cannot choose, and why."""
DEPLOYMENTS = {
    "DATABASE_URL", "POOL_TLS", "POOL_TLS_CA", "POOLPROOF_SECRET_KEY", "POOLPROOF_SECURE_COOKIES",
    "POOLPROOF_TRUSTED_PROXIES", "POOLPROOF_LOG_LEVEL", "POOLPROOF_LOG_FORMAT", "POOLPROOF_WORKERS",
    "POOLPROOF_THREADS",
}  # fmt: skip
"""Settings that every deployment thinks about, which are therefore written down in the file."""


def known_settings() -> set[str]:
    pool = {pool_variable(field.name) for field in fields(PoolSettings)}
    return {"DATABASE_URL", *pool, *(f"POOLPROOF_{name.upper()}" for name in ServiceSettings.model_fields)}


def rendered(folder: Path, dot_env: Mapping[str, str], shell: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return the services as Docker Compose itself reads the file beside this .env."""
    shutil.copy(FILE, folder)
    (folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in dot_env.items()))
    command = [*find_docker_compose(), "config", "--format", "json"]
    done = subprocess.run(
        command, cwd=folder, env={"HOME": str(folder), **(shell or {})}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    services: dict[str, Any] = json.loads(done.stdout)["services"]
    return services


SECRETS = {"MYSQL_PASSWORD": "secret", "POOLPROOF_SECRET_KEY": KEY}


def test_the_compose_file_is_valid_by_the_schema_of_compose() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(FILE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_compose_gives_the_service_is_accepted_by_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    services = rendered(tmp_path, SECRETS)
    for name in OURS:
        environment = services[name]["environment"]
        ours = {key: value for key, value in environment.items() if key.startswith(SETTING_PREFIXES)}
        assert set(ours) <= known_settings()
        with monkeypatch.context() as patch:
            for key, value in ours.items():
                patch.setenv(key, value)
            settings = load_settings()
        assert settings.poolproof.secret_key is not None
        assert settings.poolproof.secret_key.get_secret_value() == KEY
        assert settings.redacted_database_url.endswith("@database:3306/poolproof")


def test_every_setting_in_env_reaches_the_service_and_the_collector(tmp_path: Path) -> None:
    chosen = {name: f"chosen-{name.lower()}" for name in known_settings() - set(DECIDED_HERE)}
    services = rendered(tmp_path, {"MYSQL_PASSWORD": "secret", **chosen})
    for name in OURS:
        environment = services[name]["environment"]
        assert {key: environment.get(key) for key in chosen} == chosen


def test_what_every_deployment_decides_stands_in_the_file_and_is_taken_from_the_shell(tmp_path: Path) -> None:
    for name, service in yaml.safe_load(FILE.read_text())["services"].items():
        if name in OURS:
            assert set(service["environment"]) >= DEPLOYMENTS
    chosen = {name: f"chosen-{name.lower()}" for name in DEPLOYMENTS}
    services = rendered(tmp_path, SECRETS, chosen)
    for name in OURS:
        assert {key: services[name]["environment"].get(key) for key in chosen} == chosen


@pytest.mark.parametrize("missing", SECRETS)
def test_without_a_secret_nothing_starts_and_the_secret_is_named(tmp_path: Path, missing: str) -> None:
    with pytest.raises(AssertionError, match=f"set {missing} in .env"):
        rendered(tmp_path, {**SECRETS, missing: ""})


def test_the_example_of_env_names_settings_that_there_are() -> None:
    named = re.findall(r"^(?:# )?([A-Z_]+)=", (PROJECT / ".env.example").read_text(), re.MULTILINE)
    assert set(SECRETS) <= set(named)
    assert set(named) - {"MYSQL_PASSWORD"} <= known_settings()


def test_containers_have_files_for_all_players_and_time_to_end_what_they_do(tmp_path: Path) -> None:
    services = rendered(tmp_path, SECRETS)
    timeout = int(re.findall(r"^graceful_timeout = (\d+)$", GUNICORN.read_text(), re.MULTILINE)[0])
    for name in OURS:
        assert connections_for(services[name]["ulimits"]["nofile"]) == MAX_CONNECTIONS
        assert int(services[name]["stop_grace_period"].removesuffix("s")) > timeout
    assert all("healthcheck" in services[name] for name in ("app", "database"))


def test_the_files_that_the_image_copies_are_enough_to_serve(
    prepared_schema: Callable[[str, str], str], tmp_path: Path
) -> None:
    dockerfile = yaml.safe_load(FILE.read_text())["services"]["app"]["build"]["dockerfile_inline"]
    image = tmp_path / "app"
    image.mkdir()
    for words in re.findall(r"^COPY (.+)$", dockerfile, re.MULTILINE):
        *sources, target = words.split()
        for source in sources:
            if (PROJECT / source).is_dir():
                shutil.copytree(PROJECT / source, image / target)
            else:
                shutil.copy(PROJECT / source, image / target)
    url = prepared_schema("sqlite", "image")
    with run_poolproof_service(url, tmp_path / "instance", image, POOLPROOF_WORKERS="1") as service:
        assert str(image) in Path(f"/proc/{service.process.pid}/cwd").readlink().as_posix()
