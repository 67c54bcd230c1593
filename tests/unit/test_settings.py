from __future__ import annotations

import os
import traceback
from pathlib import Path

import pytest

from webapp.settings import Settings, SettingsError, list_notes, load_settings


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    for name in list(os.environ):
        if name.startswith(("POOL_", "POOLPROOF_", "DATABASE_URL", "PORT", "SCRIPT_NAME")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("POOLPROOF_INSTANCE", str(tmp_path))
    return monkeypatch


def loaded(environment: pytest.MonkeyPatch, **variables: str) -> Settings:
    for name, value in variables.items():
        environment.setenv(name, value)
    return load_settings()


def test_without_any_setting_the_database_is_sqlite_in_the_instance_folder(
    clean_environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert loaded(clean_environment).database_url == f"sqlite:///{tmp_path}/poolproof.sqlite"


def test_the_driver_is_ours_to_choose(clean_environment: pytest.MonkeyPatch) -> None:
    settings = loaded(clean_environment, DATABASE_URL="mysql://ada:a%40b@db/quiz")
    assert settings.database_url == "mysql+pymysql://ada:a%40b@db/quiz"
    assert settings.redacted_database_url == "mysql+pymysql://ada:***@db/quiz"


def test_pool_and_service_take_their_own_variables(clean_environment: pytest.MonkeyPatch) -> None:
    settings = loaded(clean_environment, POOL_CLASS="null", POOL_TIMEOUT="0.5", POOLPROOF_THREADS="3", POOL_SIZE="")
    assert (settings.pool.pool_class, settings.pool.timeout, settings.pool.size) == ("null", 0.5, None)
    assert settings.poolproof.threads == 3


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"POOLPROOF_TRHEADS": "4"}, r"POOLPROOF_TRHEADS is not a setting of Poolproof \(is it POOLPROOF_THREADS\?\)"),
        ({"POOL_SIZ": "4"}, r"POOL_SIZ is not a setting of Poolproof \(is it POOL_SIZE\?\): correct"),
        ({"POOL_PROOF_BIND": "a"}, r"is it POOLPROOF_BIND\?"),
        ({"POOLPROOF_XYZZY_QUUX": "4"}, "POOLPROOF_XYZZY_QUUX is not a setting of Poolproof: correct"),
        ({"PORT": "http"}, "PORT: "),
        ({"PORT": "70000"}, "PORT: "),
        ({"PORT": "8001"}, "POOLPROOF_CONSOLE_BIND is 127.0.0.1:8001 and POOLPROOF_BIND is 0.0.0.0:8001"),
        ({"SCRIPT_NAME": "quiz/"}, "SCRIPT_NAME: "),
        ({"POOL_KEEP": "1"}, "POOL_KEEP is called POOL_MIN_IDLE now: rename it"),
        ({"POOLPROOF_CONTACT": "ada"}, "POOLPROOF_CONTACT is called POOLPROOF_COLLECTOR_CONTACT now"),
        ({"POOL_SIZE": "0"}, "POOL_SIZE is 0: it must be at least 1"),
        ({"POOL_SIZE": "many"}, "POOL_SIZE: "),
        ({"POOLPROOF_WORKERS": "0"}, "POOLPROOF_WORKERS: "),
        ({"POOLPROOF_SECRET_KEY": "short"}, "POOLPROOF_SECRET_KEY: must have at least 32 characters"),
        ({"DATABASE_URL": "postgresql://db/quiz"}, "runs on MySQL, MariaDB and SQLite"),
        ({"DATABASE_URL": "nonsense"}, "DATABASE_URL cannot be read"),
        ({"POOL_CLASS": "heap"}, "POOL_CLASS: "),
    ],
)
def test_what_is_wrong_is_said_with_the_variables_name(
    clean_environment: pytest.MonkeyPatch, variables: dict[str, str], sentence: str
) -> None:
    with pytest.raises(SettingsError, match=sentence):
        loaded(clean_environment, **variables)


def test_everything_that_is_wrong_is_said_at_once(clean_environment: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError) as refusal:
        loaded(clean_environment, POOL_SIZE="many", POOLPROOF_WORKERS="0")
    assert len(str(refusal.value).splitlines()) == 2


@pytest.mark.parametrize(
    ("variables", "bind", "notes"),
    [
        ({"PORT": "9000"}, "0.0.0.0:9000", 0),
        ({"PORT": "9000", "POOLPROOF_BIND": "127.0.0.1:9000"}, "127.0.0.1:9000", 0),
        ({"PORT": "9000", "POOLPROOF_BIND": "127.0.0.1:8080"}, "127.0.0.1:8080", 1),
        ({"PORT": ""}, "127.0.0.1:8000", 0),
    ],
)
def test_a_platforms_port_is_listened_on_unless_an_address_is_set_and_a_conflict_is_named(
    clean_environment: pytest.MonkeyPatch, variables: dict[str, str], bind: str, notes: int
) -> None:
    settings = loaded(clean_environment, **variables)
    assert settings.poolproof.bind == bind
    assert len([note for note in list_notes(settings) if note.startswith("PORT is 9000")]) == notes


def test_a_traceback_of_what_is_wrong_shows_no_password(clean_environment: pytest.MonkeyPatch) -> None:
    # In two parts: the traceback quotes lines of this file.
    password = "top" + "secret"
    # The only variable: pydantic would show the end of what it was given.
    clean_environment.delenv("POOLPROOF_INSTANCE")
    with pytest.raises(SettingsError) as refusal:
        loaded(clean_environment, DATABASE_URL=f"mysql://ada:{password}@d/q?a=1")
    assert password not in "".join(traceback.format_exception(refusal.value))
