from __future__ import annotations

import stat
from pathlib import Path

import pytest
from sqlalchemy import make_url

from webapp.app import create_app
from webapp.instance_folder import prepare_database_file, prepare_folder, secret_key
from webapp.settings import ServiceSettings, Settings, SettingsError


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(poolproof=ServiceSettings.model_validate({"instance": tmp_path / "instance"}))


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_key_is_made_once_and_readable_by_this_account_only(settings: Settings) -> None:
    key = secret_key(settings)
    assert secret_key(settings) == key
    assert len(key) == 64
    folder = settings.poolproof.instance
    assert [path.name for path in folder.iterdir()] == ["secret_key"]
    assert (mode(folder), mode(folder / "secret_key")) == (0o700, 0o600)


def test_a_given_key_is_taken_and_never_shown(tmp_path: Path) -> None:
    values = {"instance": tmp_path, "secret_key": "a secret of more than thirty-two characters"}
    settings = Settings(poolproof=ServiceSettings.model_validate(values))
    assert secret_key(settings).startswith("a secret")
    assert "a secret" not in repr(settings)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", ["", "\n", "short", "ü" * 15])
def test_a_key_that_is_too_short_to_sign_with_is_refused(settings: Settings, content: str) -> None:
    prepare_folder(settings.poolproof.instance)
    (settings.poolproof.instance / "secret_key").write_text(content, encoding="utf-8")
    with pytest.raises(SettingsError, match="characters, and needs 32"):
        secret_key(settings)


def test_what_other_accounts_could_read_they_can_no_longer(settings: Settings) -> None:
    folder = settings.poolproof.instance
    folder.mkdir(mode=0o755)
    key, database = folder / "secret_key", folder / "poolproof.sqlite"
    for path in (key, database):
        path.write_text("x" * 64)
        path.chmod(0o644)
    secret_key(settings)
    prepare_database_file(make_url(f"sqlite:///{database}"))
    assert [mode(path) for path in (folder, key, database)] == [0o750, 0o640, 0o640]


def test_a_new_database_and_its_log_are_readable_by_this_account_only(settings: Settings) -> None:
    app = create_app(settings, with_routes=False)
    with app.extensions["pooling"].work.transaction() as connection:
        connection.exec_driver_sql("CREATE TABLE account (password TEXT)")
        connection.exec_driver_sql("INSERT INTO account VALUES ('a hash')")
    files = [path for path in settings.poolproof.instance.iterdir() if path.is_file()]
    assert {path.name for path in files} >= {"poolproof.sqlite", "poolproof.sqlite-wal"}
    assert {mode(path) for path in files} == {0o600}
    for lane in app.extensions["pooling"].lanes:
        lane.engine.dispose()


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    settings = Settings(poolproof=ServiceSettings.model_validate({"instance": tmp_path / "file" / "instance"}))
    with pytest.raises(SettingsError, match="POOLPROOF_INSTANCE"):
        secret_key(settings)
    with pytest.raises(SettingsError, match="DATABASE_URL"):
        prepare_database_file(make_url(f"sqlite:///{tmp_path}/file/quiz.sqlite"))
