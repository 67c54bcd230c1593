"""Fresh data directories of database servers: initialised once for each version, then copied."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from itertools import product
from pathlib import Path

from webapp.lab.services.debian import cache_folder
from webapp.lab.services.programs import Flavour, Program, ServerError

# Small and durable: each commit is flushed to the disk, as in production.
COMMON_OPTIONS = (
    "--bind-address=127.0.0.1",
    "--character-set-server=utf8mb4",
    "--innodb-buffer-pool-size=128M",
    "--innodb-flush-log-at-trx-commit=1",
    "--local-infile=ON",
    "--skip-log-bin",
)
FLAVOUR_OPTIONS: dict[Flavour, tuple[str, ...]] = {
    "mysql": ("--mysqlx=OFF", "--secure-file-priv=NULL", "--innodb-redo-log-capacity=32M"),
    "mariadb": ("--innodb-log-file-size=32M", "--performance-schema=OFF"),
}
# What MariaDB's own installer feeds to --bootstrap, in its order; before version 11 the names began with mysql.
MARIADB_TABLES = (
    "{prefix}_system_tables.sql",
    "{prefix}_performance_tables.sql",
    "{prefix}_system_tables_data.sql",
    "fill_help_tables.sql",
    "maria_add_gis_sp_bootstrap.sql",
    "{prefix}_sys_schema.sql",
)
MARIADB_PREFIXES = ("mariadb", "mysql")


def server_command(program: Program, data: Path) -> list[str]:
    """Return the command line of a server program on a data directory."""
    as_root = ["--user=root"] if os.geteuid() == 0 else []
    own = [*program.options, f"--datadir={data}", *COMMON_OPTIONS, *FLAVOUR_OPTIONS[program.flavour]]
    return [*program.command, "--no-defaults", *own, *as_root]


def initialise(program: Program, data: Path, *options: str) -> None:
    """Create a fresh data directory with these options; its root account has no password.

    Raises:
        ServerError: when the program fails.
    """
    command, tables = [*server_command(program, data), *options], b""
    if program.flavour == "mysql":
        command.append("--initialize-insecure")
    else:
        data.mkdir()
        command.append("--bootstrap")
        tables = b"CREATE DATABASE mysql;\nUSE mysql;\nSET @auth_root_socket=NULL;\n" + _mariadb_tables(program)
    done = subprocess.run(command, input=tables, capture_output=True, check=False)  # noqa: S603 - the caller's choice
    if done.returncode:
        message = done.stderr.decode(errors="replace")[-2000:]
        raise ServerError(f"{program.path} could not make fresh data in {data}. It said:\n{message}")
    # Each copy is a server of its own and gets another UUID when it starts.
    (data / "auto.cnf").unlink(missing_ok=True)


def cached_data_directory(program: Program, *options: str) -> Path:
    """Return data initialised by this version with these options, once on this machine: it takes longer than a start.

    Raises:
        ServerError: when the program cannot create them.
    """
    name = f"{program.flavour}-{program.version}-data{''.join(options)}"
    return initialise_once(name, lambda data: initialise(program, data, *options))


def initialise_once(name: str, initialise_data: Callable[[Path], None]) -> Path:
    """Return the data directory of this name in the cache, which the first caller on this machine initialises.

    Others wait for it. It is renamed to its place when it is complete, so that one that was interrupted is not used.
    """
    folder = cache_folder() / name
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f".{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            draft = folder.with_name(f".{folder.name}-{os.getpid()}")
            shutil.rmtree(draft, ignore_errors=True)
            draft.mkdir()
            initialise_data(draft / "data")
            draft.rename(folder)
    return folder / "data"


def _mariadb_tables(program: Program) -> bytes:
    help_text = subprocess.run(  # noqa: S603 - the caller's choice
        [*program.command, "--no-defaults", *program.options, "--verbose", "--help"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    match = re.search(r"^lc-messages-dir\s+(\S+)", help_text.stdout, re.MULTILINE)
    folders = [Path(match[1])] if match else []
    folders += [Path(name) for name in ("/usr/share/mariadb", "/usr/share/mysql")]
    for folder, prefix in product(folders, MARIADB_PREFIXES):
        files = [folder / name.format(prefix=prefix) for name in MARIADB_TABLES]
        if files[0].is_file():
            return b"".join(file.read_bytes() for file in files)
    raise ServerError(f"{program.path} came without its system tables (mariadb_system_tables.sql).")
