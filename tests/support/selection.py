"""Which tests run, and in which order."""

from __future__ import annotations

import pytest

DEAREST_FOLDERS = ("integration", "e2e", "unit/lab", "unit/console", "unit/collector", "unit/bank", "repo")
"""Their files take longest: begun last, one of them would keep a process busy while the others have nothing to do."""
DATABASES_FIXTURE = "databases"
"""Every fixture that leads to a database comes from this one."""


def order(items: list[pytest.Item]) -> None:
    """Put the files that take longest first; files stay together, and tests of a file in their order."""

    def rank(item: pytest.Item) -> int:
        path = item.path.as_posix()
        ranks = (number for number, folder in enumerate(DEAREST_FOLDERS) if f"/tests/{folder}/" in path)
        return next(ranks, len(DEAREST_FOLDERS))

    items.sort(key=rank)


def only_with_database(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect what runs alike on every database: tests that use none, and those of pages in a browser."""
    selected = [
        item
        for item in items
        if DATABASES_FIXTURE in getattr(item, "fixturenames", ()) and item.get_closest_marker("journey") is None
    ]
    config.hook.pytest_deselected(items=[item for item in items if item not in set(selected)])
    items[:] = selected
