"""Make sure that the browser tests find a Chromium.

    python3 .ci/browser.py

Where it is root it installs Debian's; otherwise it names the one command for it. Two processes that want it at once
wait for each other.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys

from environment import cache_folder

NAMES = ("chromium", "chromium-browser", "google-chrome")
PACKAGES = ("chromium", "fonts-noto-core")


def main() -> None:
    """Look for a browser, install one where that is allowed, say what to do where it is not."""
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".browser.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        provide()


def provide() -> None:
    """Do so, alone."""
    if any(shutil.which(name) for name in NAMES):
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        print(
            f"browser: there is none, so the browser tests will not run. Install it: sudo apt-get install {PACKAGES[0]}"
        )
        return
    print("browser: installing Debian's chromium", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "--yes", "--no-install-recommends", *PACKAGES]):
        done = subprocess.run(
            ["apt-get", "-qq", *command], env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            sys.exit(f"browser: apt-get {' '.join(command)} failed:\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    main()
