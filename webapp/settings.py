"""The settings of the service. This is the one module that reads the environment: once, all variables together."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import make_url

from poolproof.capacity.budget import FleetSize
from poolproof.settings import PoolSettings
from poolproof.settings import variable as pool_variable
from webapp import setting_names
from webapp.database_url import normalize_url

PROJECT_ROOT = Path(__file__).resolve().parent.parent
"""The folder with wsgi.py, gunicorn.conf.py and migrations/."""

MIN_SECRET_KEY_LENGTH = 32
OFF = "off"
"""The value of POOLPROOF_CONSOLE_BIND without a console."""

SETTING_PREFIXES = ("DATABASE_URL", "POOL_", "POOLPROOF_")


class SettingsError(Exception):
    """The environment is not acceptable; the message names every variable that is wrong."""


class ServiceSettings(BaseModel):
    """The POOLPROOF_* variables."""

    # A traceback must not show the values: passwords are among them.
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    instance: Path = PROJECT_ROOT / "instance"
    """Folder of this installation's own files: the SQLite database, the secret key."""
    secret_key: SecretStr | None = None
    """Signs sessions and tokens. Default: generated once and stored in the instance folder."""
    bind: str = "127.0.0.1:8000"
    console_bind: str = "127.0.0.1:8001"
    """A second address to listen on; only it serves /console, /metrics and the pools. `off`: none does."""
    console_read_only: bool = False
    """The console shows everything, but offers no action."""
    otlp_endpoint: str | None = None
    """URL to which metrics are sent with OTLP, e.g. http://127.0.0.1:4318/v1/metrics."""
    otlp_interval: float = Field(15.0, gt=0, le=3600)
    """Seconds between two exports of metrics."""
    workers: int = Field(2, ge=1, le=64)
    threads: int = Field(8, ge=1, le=256)
    worker_class: Literal["poolproof", "gthread"] = "poolproof"
    """Gunicorn's worker: Poolproof's own, or Gunicorn's own with threads, to compare with."""
    max_requests: int = Field(0, ge=0)
    """Requests after which a worker is replaced by a new one; 0: never."""
    head_timeout: float = Field(10.0, gt=0, le=3600)
    """Seconds in which the head of a request has to be there; the first one, from the connection."""
    body_timeout: float = Field(30.0, gt=0, le=3600)
    """Seconds in which a body of at most 64 KiB has to be there."""
    upload_timeout: float = Field(600.0, gt=0, le=24 * 3600)
    """Seconds in which a larger body has to be there."""
    keep_alive: int = Field(75, ge=0, le=3600)
    """Seconds for which a connection stays open between two requests; 0: each request has one of its own."""
    background_processes: int = Field(1, ge=0, le=64)
    """How many commands (imports, collections) run beside the workers at the same time; counted in the budget."""
    collector_processes: int = Field(1, ge=0, le=16)
    """How many processes `serve` starts to run collections; 0: none."""
    sources_dir: Path | None = None
    """Folder of TOML files that describe further sources of questions. Default: `sources` in the instance folder."""
    collector_contact: str | None = Field(None, max_length=200, pattern=r"^[\x20-\x7e]+$")
    """Contact for the operators of a source; sent with every request."""
    opentdb_url: str = "https://opentdb.com"
    opentdb_min_interval: float = Field(5.0, ge=0, le=3600)
    """Seconds between two requests to Open Trivia DB, which asks for five."""
    max_import_mib: int = Field(32, ge=1, le=1024)
    """Size of the largest file that can be uploaded, in MiB; commands import files of any size."""
    log_format: Literal["json", "text"] = "json"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least level of records that are logged; above `info` finished requests are not."""
    secure_cookies: bool = False
    """Send cookies over HTTPS only; for a service behind a proxy that terminates TLS."""
    trusted_proxies: int = Field(0, ge=0, le=5)
    """How many reverse proxies are in front of the service; their X-Forwarded-* headers are trusted."""
    attempt_ttl_hours: int = Field(7 * 24, ge=1, le=24 * 366)
    """How long an attempt at a quiz without an end takes answers; one with an end takes them until then."""
    keep_attempts_days: int = Field(0, ge=0, le=36_600)
    """Days after which attempts that are over are deleted, with their answers; authors may choose fewer. 0: never."""
    grace_seconds: int = Field(0, ge=0, le=3600)
    """For how long after a quiz has closed answers and finishes are accepted: for those sent before it closed."""
    player_rate_limit: float = Field(10.0, ge=0, le=1000)
    """Answers a second that one player may send in the long run, over all workers; 0: any number."""
    api_token_ttl_hours: int = Field(12, ge=1, le=24 * 31)
    """How long a REST token is valid."""

    @property
    def fleet(self) -> FleetSize:
        """The processes that share the database's connections."""
        beside = self.background_processes + self.collector_processes
        return FleetSize(self.workers, self.threads, beside, has_writer=True)

    @field_validator("console_bind")
    @classmethod
    def _validate_console_bind(cls, value: str) -> str:
        host, _, port = value.rpartition(":")
        if value != OFF and not (port.isdecimal() and (host == "localhost" or _is_ip(host.strip("[]")))):
            # A request's socket has an IP address, which cannot be compared with a host name.
            raise ValueError("is no address; write an IP address or localhost and a port, as 127.0.0.1:8001, or off")
        return value

    @model_validator(mode="after")
    def _validate_console_port_differs(self) -> Self:
        if self.console_bind.rpartition(":")[2] == self.bind.rpartition(":")[2]:
            raise ValueError(
                f"POOLPROOF_CONSOLE_BIND is {self.console_bind} and POOLPROOF_BIND is {self.bind}: the console must "
                "not be on the public address. Give it another port."
            )
        return self

    @field_validator("otlp_endpoint")
    @classmethod
    def _validate_otlp_endpoint(cls, value: str | None) -> str | None:
        if value is not None and not re.match(r"https?://[^/]", value):
            raise ValueError("is no address; write http://host:4318/v1/metrics, or https://…")
        return value

    @field_validator("secret_key")
    @classmethod
    def _validate_secret_key(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < MIN_SECRET_KEY_LENGTH:
            raise ValueError(
                f"must have at least {MIN_SECRET_KEY_LENGTH} characters; `openssl rand -hex 32` makes a good one"
            )
        return value


class Settings(BaseSettings):
    """All settings: DATABASE_URL, POOL_* and POOLPROOF_*; of others PORT and SCRIPT_NAME, which platforms set."""

    model_config = SettingsConfigDict(
        env_nested_delimiter="_",
        env_nested_max_split=1,
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    database_url: str = ""
    port: int | None = Field(None, ge=1, le=65_535)
    """The port to listen on, at all addresses, unless POOLPROOF_BIND is set."""
    script_name: str = Field("", pattern=r"^((/[A-Za-z0-9._~-]+)+)?$")
    """A path prefix that the proxy leaves in the path; Gunicorn reads the variable itself."""
    pool: PoolSettings = Field(default_factory=PoolSettings)
    poolproof: ServiceSettings = Field(default_factory=lambda: ServiceSettings.model_validate({}))

    @field_validator("pool", mode="before")
    @classmethod
    def _name_pool_settings(cls, value: Any) -> Any:
        """Read POOL_CLASS as `pool_class`, and refuse names that are no settings of the pool."""
        if not isinstance(value, Mapping):
            return value
        named = {"pool_class" if name == "class" else name: setting for name, setting in value.items()}
        known = {field.name for field in fields(PoolSettings)}
        if unknown := [
            setting_names.unknown(f"POOL_{name.upper()}", known_variables()) for name in named if name not in known
        ]:
            raise ValueError("\n".join(unknown))
        return named

    @model_validator(mode="before")
    @classmethod
    def _bind_to_port(cls, values: Any) -> Any:
        """Take PORT for an address, as Gunicorn does, where POOLPROOF_BIND is not set."""
        service = values.get("poolproof", {})
        if not values.get("port") or not isinstance(service, Mapping) or "bind" in service:
            return values
        return {**values, "poolproof": {**service, "bind": f"0.0.0.0:{values['port']}"}}

    @model_validator(mode="after")
    def _normalize_database_url(self) -> Self:
        url = normalize_url(self.database_url or self._default_database_url())
        object.__setattr__(self, "database_url", url.render_as_string(hide_password=False))
        return self

    def _default_database_url(self) -> str:
        return f"sqlite:///{self.poolproof.instance / 'poolproof.sqlite'}"

    @property
    def redacted_database_url(self) -> str:
        """The database's address without its password, for logs and messages."""
        return make_url(self.database_url).render_as_string(hide_password=True)


def load_settings() -> Settings:
    """Read the settings from the environment.

    Raises:
        SettingsError: with one line for each variable that is wrong or unknown.
    """
    try:
        return Settings()
    except ValidationError as error:
        raise SettingsError("\n".join(_format_error(problem) for problem in error.errors())) from error


def known_variables() -> list[str]:
    """Return the names of all settings of our own."""
    service = (f"POOLPROOF_{name.upper()}" for name in ServiceSettings.model_fields)
    return ["DATABASE_URL", *(pool_variable(field.name) for field in fields(PoolSettings)), *service]


def list_notes(settings: Settings) -> list[str]:
    """Return a sentence for each variable of the environment that looks like a setting and has no effect."""
    notes = setting_names.without_effect(os.environ, known_variables())
    port, bind = settings.port, settings.poolproof.bind
    if port is not None and bind.rpartition(":")[2] != str(port):
        notes.append(f"PORT is {port} and POOLPROOF_BIND is {bind}: POOLPROOF_BIND is used. Unset one of them.")
    return notes


def environment() -> Mapping[str, str]:
    """Return the environment, for values that are no settings: secrets of sources, the user's cache folder."""
    return os.environ


def child_environment(
    variables: Mapping[str, str], *, inherit_settings: bool = True, import_from: Path | None = None
) -> dict[str, str]:
    """Return this process's environment for a child process, with some variables of its own.

    Args:
        variables: The child's own; "" unsets a setting.
        inherit_settings: False leaves out the settings of this process.
        import_from: A folder in which the child finds modules before all others.
    """
    inherited = {
        name: value for name, value in os.environ.items() if inherit_settings or not name.startswith(SETTING_PREFIXES)
    }
    if import_from is not None:
        inherited["PYTHONPATH"] = os.pathsep.join([str(import_from), *filter(None, [inherited.get("PYTHONPATH")])])
    return {**inherited, **variables}


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _format_error(problem: Any) -> str:
    names = [str(part) for part in problem["loc"]]
    is_pool_setting = len(names) > 1 and names[0] == "pool"
    variable = pool_variable(names[1]) if is_pool_setting else "_".join(names).upper()
    if problem["type"] == "extra_forbidden":
        return setting_names.unknown(variable, known_variables())
    message = problem["msg"].removeprefix("Value error, ")
    if not message.startswith(variable) and variable in {"PORT", "SCRIPT_NAME"}:
        return f"{variable}: {message}."
    # A validator of several settings names them in its message.
    return f"{variable}: {message}." if len(names) > 1 else f"{message}"
