from __future__ import annotations

from poolproof.lab.reporting.environment_info import describe_environment


def test_machine_and_libraries_are_named_without_an_application() -> None:
    environment = describe_environment()
    assert list(environment) == ["Machine", "Processor", "Memory", "Python", "Libraries"]
    assert "sqlalchemy" in environment["Libraries"]
