"""The folder of this installation's own files: the SQLite database with the accounts in it, the signing key.

Only the account that runs the service may read them: whoever reads the key can forge sessions and attempts.
"""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from sqlalchemy import URL

from webapp.settings import MIN_SECRET_KEY_LENGTH, Settings, SettingsError

FOLDER_MODE = 0o700
FILE_MODE = 0o600
OTHERS = stat.S_IRWXO
"""The permissions of accounts that are neither the owner nor in its group."""


def prepare_folder(folder: Path) -> None:
    """Create the folder where it is missing, and keep other accounts out.

    Raises:
        SettingsError: when it cannot be made.
    """
    try:
        folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        _keep_others_out(folder)
    except OSError as error:
        raise _unwritable_error(folder, error) from error


def prepare_database_file(url: URL) -> None:
    """Create SQLite's file before SQLite does, which would let every account read it.

    The files of its write-ahead log get the permissions of this one.

    Raises:
        SettingsError: when it cannot be made or read.
    """
    if url.get_backend_name() != "sqlite" or url.database in {None, "", ":memory:"}:
        return
    path = Path(str(url.database))
    try:
        path.touch(mode=FILE_MODE)
        _keep_others_out(path)
    except OSError as error:
        raise SettingsError(
            f"The SQLite database {path} cannot be written: {error.strerror}. Give this account write access to it and "
            "to its folder, or name another file in DATABASE_URL."
        ) from error


def secret_key(settings: Settings) -> str:
    """Return the signing key; the first time it is generated and stored in the instance folder.

    Raises:
        SettingsError: when the file cannot be made or read, or its key is too short to sign with.
    """
    if settings.poolproof.secret_key is not None:
        return settings.poolproof.secret_key.get_secret_value()
    path = settings.poolproof.instance / "secret_key"
    prepare_folder(path.parent)
    try:
        if not path.exists():
            _create_key(path)
        _keep_others_out(path)
        key = path.read_text(encoding="ascii", errors="replace").strip()
    except OSError as error:
        raise _unwritable_error(path.parent, error) from error
    if len(key) < MIN_SECRET_KEY_LENGTH:
        raise SettingsError(
            f"The signing key in {path} has {len(key)} characters, and needs {MIN_SECRET_KEY_LENGTH}: anybody could "
            "forge attempts with it. Restore the file from a backup; without one remove it, and a new key is made, "
            "which ends all sessions, tokens and attempts under way."
        )
    return key


def _create_key(path: Path) -> None:
    draft = path.with_name(f"secret_key.{os.getpid()}")
    draft.unlink(missing_ok=True)
    draft.touch(mode=FILE_MODE)
    try:
        # On the disk before it has its name: after a power cut the key is whole, or there is none.
        with draft.open("w", encoding="ascii") as file:
            file.write(secrets.token_hex(32))
            file.flush()
            os.fsync(file.fileno())
        # link() never replaces a file: two processes that start at once both use the first one's key.
        os.link(draft, path)
        _sync_folder(path.parent)
    except FileExistsError:
        pass
    finally:
        draft.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _keep_others_out(path: Path) -> None:
    status = path.stat()
    # The mode of another account's file cannot be changed; its group may be one for backups.
    if status.st_mode & OTHERS and status.st_uid == os.geteuid():
        path.chmod(stat.S_IMODE(status.st_mode) & ~OTHERS)


def _unwritable_error(folder: Path, error: OSError) -> SettingsError:
    return SettingsError(
        f"The instance folder {folder} cannot be written: {error.strerror}. Give this account write access, or name "
        "another folder in POOLPROOF_INSTANCE."
    )
