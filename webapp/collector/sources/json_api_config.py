"""The TOML file that describes a JSON source, completely validated. docs/sources.md explains it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from webapp.bank.item_draft import MAX_LICENCE_LENGTH, MAX_SOURCE_LENGTH
from webapp.bank.item_kinds import Difficulty, Kind
from webapp.collector.sources import json_path
from webapp.collector.sources.json_path import FieldPath

MAX_CONFIG_BYTES = 64 * 1024

ENV_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


class JsonApiConfigError(Exception):
    """A description is invalid; the text has a line for each error: the file, the place, the error, what to do."""


JsonPath = Annotated[FieldPath, BeforeValidator(json_path.parse)]
NonEmptyText = Annotated[str, Field(min_length=1)]


class _ConfigSection(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, arbitrary_types_allowed=True)


class LimitsConfig(_ConfigSection):
    """The limits of the source; spacing in seconds between two calls, daily in calls."""

    concurrency: int = Field(default=10, ge=1, le=64)
    spacing: float = Field(default=0.0, ge=0, le=3600)
    daily: int | None = Field(default=None, ge=1)


class AuthenticationConfig(_ConfigSection):
    """A header whose secret is in the environment."""

    header: str = Field(pattern=r"^[A-Za-z0-9-]+$")
    value: str

    @field_validator("value")
    @classmethod
    def _require_variable(cls, value: str) -> str:
        if not ENV_VARIABLE.search(value):
            raise ValueError("holds no ${NAME}; a secret stands in the environment, not in this file")
        return value


class PagingConfig(_ConfigSection):
    """How to get from page to page."""

    kind: Literal["cursor", "link", "page", "offset", "none"] = "none"
    parameter: NonEmptyText | None = None
    size_parameter: NonEmptyText | None = None
    size: int | None = Field(default=None, ge=1, le=10_000)
    first: int = Field(default=1, ge=0, le=1)
    next: JsonPath | None = None
    total: JsonPath | None = None
    pages: JsonPath | None = None

    @model_validator(mode="after")
    def _check_fields_of_kind(self) -> Self:
        required, allowed = _PAGING_FIELDS[self.kind]
        present = self.model_fields_set - {"kind"}
        if missing := sorted(required - present):
            raise ValueError(f'kind = "{self.kind}" needs {" and ".join(missing)}; add it')
        if useless := sorted(present - required - allowed):
            raise ValueError(f'kind = "{self.kind}" has no use for {" and ".join(useless)}; remove it')
        if self.size_parameter and self.size is None:
            raise ValueError("size_parameter is there, size is not; add how many records a page shall have")
        if self.total and self.size is None:
            raise ValueError("total is there, size is not; add how many records a page has")
        return self


_SIZE_FIELDS = {"size", "size_parameter"}
_PAGING_FIELDS: dict[str, tuple[set[str], set[str]]] = {
    "none": (set(), _SIZE_FIELDS),
    "cursor": ({"parameter", "next"}, _SIZE_FIELDS),
    "link": (set(), _SIZE_FIELDS | {"next"}),
    "page": ({"parameter"}, _SIZE_FIELDS | {"first", "total", "pages"}),
    "offset": ({"parameter"}, _SIZE_FIELDS | {"total"}),
}


class FieldsConfig(_ConfigSection):
    """The paths of the records in a response, and of the fields in a record."""

    items: JsonPath
    stem: JsonPath
    right: JsonPath | None = None
    wrong: JsonPath | None = None
    choices: JsonPath | None = None
    right_position: JsonPath | None = None
    right_text: JsonPath | None = None
    counted_from: int = Field(default=0, ge=0, le=1)
    kind: JsonPath | None = None
    difficulty: JsonPath | None = None
    category: JsonPath | None = None
    explanation: JsonPath | None = None
    identity: JsonPath | None = None

    @model_validator(mode="after")
    def _check_right_fields(self) -> Self:
        present = self.model_fields_set & {"right", "wrong", "choices", "right_position", "right_text"}
        if present not in ({"right", "wrong"}, {"choices", "right_position"}, {"choices", "right_text"}):
            raise ValueError(
                "what is right is said in one of three ways: right and wrong, choices and right_position, "
                f"choices and right_text; here is {' and '.join(sorted(present)) or 'none of them'}"
            )
        return self


class ValuesConfig(_ConfigSection):
    """The bank's values for the source's values."""

    kind: dict[str, Annotated[Kind, Field(strict=False)]] = {}
    difficulty: dict[str, Annotated[Difficulty, Field(strict=False)]] = {}


class JsonApiConfig(_ConfigSection):
    """A source as its file describes it."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,39}$")
    title: str = Field(min_length=1, max_length=MAX_SOURCE_LENGTH)
    address: str
    licence: str = Field(min_length=1, max_length=MAX_LICENCE_LENGTH)
    decode: Literal["none", "html"] = "none"
    parameters: dict[str, str] = {}
    limits: LimitsConfig = LimitsConfig()
    authentication: AuthenticationConfig | None = None
    paging: PagingConfig = PagingConfig()
    fields: FieldsConfig
    values: ValuesConfig = ValuesConfig()

    @field_validator("address")
    @classmethod
    def _validate_address(cls, value: str) -> str:
        try:
            parts = urlsplit(value)
            is_valid = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        except ValueError:
            is_valid = False
        if not is_valid:
            raise ValueError("is no address; write https://host/path, or http://…")
        if parts.query or parts.fragment:
            raise ValueError("has a query; write it under [parameters]")
        if parts.username or parts.password:
            raise ValueError("holds a name or password; write it under [authentication]")
        return value

    @field_validator("parameters")
    @classmethod
    def _reject_secrets(cls, value: dict[str, str]) -> dict[str, str]:
        if any(ENV_VARIABLE.search(text) for text in value.values()):
            raise ValueError("holds ${NAME}; addresses are logged: a secret goes into a header, see [authentication]")
        return value


def read_config(file: Path) -> JsonApiConfig:
    """Return what a file describes.

    Raises:
        JsonApiConfigError: when it cannot be read or is invalid.
    """
    try:
        with file.open("rb") as stream:
            content = stream.read(MAX_CONFIG_BYTES + 1)
    except OSError as error:
        raise JsonApiConfigError(f"{file}: cannot be read ({error.strerror}); give the path of a TOML file.") from error
    if len(content) > MAX_CONFIG_BYTES:
        raise JsonApiConfigError(f"{file}: has more than {MAX_CONFIG_BYTES // 1024} KiB; a description is a page.")
    try:
        return parse_config(content.decode(), str(file))
    except UnicodeDecodeError as error:
        raise JsonApiConfigError(f"{file}: is not UTF-8 (byte {error.start}); save it as UTF-8.") from error


def parse_config(text: str, file: str) -> JsonApiConfig:
    """Return what a text describes; `file` is its name for the errors.

    Raises:
        JsonApiConfigError: when it is invalid.
    """
    try:
        return JsonApiConfig.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise JsonApiConfigError(f"{file}: is no TOML: {error}; correct it there.") from error
    except ValidationError as error:
        raise JsonApiConfigError("\n".join(f"{file}: {_format_error(each)}" for each in error.errors())) from error


def _format_error(error: Any) -> str:
    location = ".".join(str(part) for part in error["loc"]) or "the file"
    if error["type"] == "extra_forbidden":
        return f"{location}: there is no such field; correct its name or remove it."
    if error["type"] == "missing":
        return f"{location}: is missing; add it."
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "value_error":
        return f"{location}: {message}."
    # A value under authentication may be a secret that was written there by mistake.
    shown = "" if location.startswith("authentication") else f", not {str(error['input'])[:60]!r}"
    return f"{location}: {message[:1].lower()}{message[1:]}{shown}; correct it."
