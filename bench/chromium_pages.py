"""Opens a quiz in twenty real Chromium pages within the same second: all have to show it within five seconds.

    PYTHONPATH=. .venv/test/bin/python bench/chromium_pages.py [--pages 20] [--check]

The pages are those of one browser, each in a context of its own, with a cache and connections of its own. Chromium has
to be installed, and Playwright with it. With --check the script exits 1 when a page took longer. Nothing else should
run meanwhile.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from pathlib import Path

from playwright.async_api import Page, async_playwright, expect

from bench import file_limits
from webapp.lab.push.quiz_discovery import find_open_quiz
from webapp.lab.services.poolproof_service import run_poolproof_service
from webapp.lab.services.processes import HOST

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-component-update", "--disable-sync"]
BOUND = 5.0
"""Seconds until a page shows the quiz."""
TIMEOUT = 60_000
"""Milliseconds after which a page is given up."""


def main() -> None:
    """Measure, print, and judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=20)
    parser.add_argument("--check", action="store_true", help="exit 1 when a page takes longer than five seconds")
    file_limits.add_options(parser)
    options = parser.parse_args()
    program = next((path for name in CHROMIUM if (path := shutil.which(name))), None)
    if program is None:
        sys.exit("There is no Chromium; install it: sudo apt-get install chromium")
    command = file_limits.limited(file_limits.SERVE, options.soft_files, options.hard_files)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with run_poolproof_service(f"sqlite:///{folder}/pages.db", folder, Path.cwd(), command) as service:
            slug, _, _ = find_open_quiz(HOST, service.port, None)
            seconds = asyncio.run(_open_all(program, f"{service.address}/quizzes/{slug}", options.pages))
    print(f"{len(seconds)} pages: median {sorted(seconds)[len(seconds) // 2]:.2f} s, slowest {max(seconds):.2f} s")
    if options.check and max(seconds) > BOUND:
        sys.exit(1)


async def _open_all(program: str, address: str, pages: int) -> list[float]:
    async with async_playwright() as playwright:
        # Without Playwright's own argument the browser opens speculative connections, as people's browsers do.
        browser = await playwright.chromium.launch(
            executable_path=program, args=ARGUMENTS, ignore_default_args=["--disable-background-networking"]
        )
        contexts = [await browser.new_context() for _ in range(pages)]
        opened = [await context.new_page() for context in contexts]
        starts_at = time.monotonic() + 0.5
        seconds = await asyncio.gather(
            *(_open(page, address, starts_at + number / pages) for number, page in enumerate(opened))
        )
        await browser.close()
        return list(seconds)


async def _open(page: Page, address: str, moment: float) -> float:
    """Open the page at this moment; return the seconds until it shows the quiz."""
    await asyncio.sleep(max(0.0, moment - time.monotonic()))
    await page.goto(address, timeout=TIMEOUT)
    await expect(page.get_by_role("button", name="Start")).to_be_visible(timeout=TIMEOUT)
    return time.monotonic() - moment


if __name__ == "__main__":
    main()
