"""Every module of these packages has its test file, at the same path under tests/unit."""

from __future__ import annotations

from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
UNIT = PROJECT / "tests" / "unit"
PACKAGES = {
    "poolproof": PROJECT / "webapp" / "pooling" / "src" / "poolproof",
    **{name: PROJECT / "webapp" / name for name in ("attempts", "web", "db")},
}


@pytest.mark.parametrize("package", PACKAGES)
def test_every_module_has_its_test_file(package: str) -> None:
    folder = PACKAGES[package]
    modules = [path.relative_to(folder) for path in sorted(folder.rglob("*.py")) if path.name != "__init__.py"]
    assert modules
    missing = [
        str(module) for module in modules if not (UNIT / package / module.with_name(f"test_{module.name}")).is_file()
    ]
    assert missing == []
