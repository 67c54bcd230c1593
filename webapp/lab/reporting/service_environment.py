"""What the reports of the service say about where they were made: also its database and its configuration."""

from __future__ import annotations

from flask import current_app
from sqlalchemy.exc import SQLAlchemyError

from poolproof.capacity.server_info import read_server_info
from poolproof.integrations.flask_ext import get_pooling
from poolproof.lab.reporting.environment_info import describe_environment
from poolproof.settings import changed_settings, variable
from webapp.settings import Settings


def describe_service_environment() -> dict[str, str]:
    """Return the environment of this process, the database and the configuration; in an application's context."""
    settings: Settings = current_app.config["SETTINGS"]
    return {
        **describe_environment(),
        "Database": f"{_describe_database()}, {settings.redacted_database_url}",
        "Configuration": ", ".join(_changed_settings(settings)) or "defaults",
    }


def _describe_database() -> str:
    try:
        with get_pooling().console.read() as connection:
            server = read_server_info(connection)
    except SQLAlchemyError:
        return "not reachable"
    return f"{server.flavour} {server.version}"


def _changed_settings(settings: Settings) -> list[str]:
    """Return the settings that differ from the defaults, without the secret key."""
    pool = [f"{variable(name)}={value}" for name, value in sorted(changed_settings(settings.pool).items())]
    service = settings.poolproof
    names = sorted(service.model_fields_set - {"secret_key", "instance"})
    return [*pool, *(f"POOLPROOF_{name.upper()}={getattr(service, name)}" for name in names)]
