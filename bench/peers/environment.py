"""Make the environment that the peers of `make bench` run in: `python3 bench/peers/environment.py VENV`.

mysqlclient has no wheels for Linux. It is built against Debian's MariaDB client library, which is
unpacked beside the environment and needs no root; a C compiler and Python's headers must be here.
"""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(PROJECT / ".ci"))

import debian  # noqa: E402 - from the folder named above
import environment  # noqa: E402


def main() -> None:
    """Read the command line."""
    suite = platform.freedesktop_os_release().get("VERSION_CODENAME", "stable")
    try:
        library = debian.unpack(["libmariadb-dev"], environment.cache_folder() / f"libmariadb-{suite}", suite)
    except debian.UnpackError as error:
        sys.exit(f"bench: {error}")
    headers = library / "usr" / "include" / "mariadb"
    libraries = next(library.glob("usr/lib/*/libmariadb.so")).parent
    os.environ["MYSQLCLIENT_CFLAGS"] = f"-I{headers} -I{headers / 'mysql'}"
    os.environ["MYSQLCLIENT_LDFLAGS"] = (
        f"-L{libraries} -Wl,-rpath,{libraries} -Wl,-rpath-link,{libraries} -Wl,--disable-new-dtags -lmariadb"
    )
    lock = Path(__file__).with_name("requirements.txt")
    environment.make_environment(Path(sys.argv[1]).absolute(), lock, with_project=False)


if __name__ == "__main__":
    main()
