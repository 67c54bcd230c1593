from __future__ import annotations

import pytest

from webapp.setting_names import without_effect

KNOWN = ["DATABASE_URL", "POOLPROOF_WORKERS", "POOLPROOF_BIND"]


@pytest.mark.parametrize(
    ("environment", "meant"),
    [
        ({"WEB_CONCURRENCY": "4"}, "POOLPROOF_WORKERS"),
        ({"POOLPROF_BIND": "a"}, "POOLPROOF_BIND"),
        ({"DATABASE_URI": "a"}, "DATABASE_URL"),
    ],
)
def test_a_variable_without_effect_is_named_with_what_it_was_meant_for(environment: dict[str, str], meant: str) -> None:
    (note,) = without_effect(environment, KNOWN)
    assert note.startswith(f"{next(iter(environment))} has no effect")
    assert note.endswith(f"call it {meant}.")


@pytest.mark.parametrize(
    "environment",
    [
        {"PATH": "/bin", "HOME": "/root", "LANG": "C", "TEST_DATABASE_URL": "a", "PYTHONPATH": "."},
        {"WEB_CONCURRENCY": "4", "POOLPROOF_WORKERS": "2"},
        {"WEB_CONCURRENCY": ""},
        {"poolproof_workers": "2"},
    ],
)
def test_other_variables_are_not_named(environment: dict[str, str]) -> None:
    assert without_effect(environment, KNOWN) == []
