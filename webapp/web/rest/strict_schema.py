"""Schemas whose rules are compiled: one validator for bodies that Flask has parsed and for bytes on the fast path.

A schema is declared with marshmallow's fields, which are also its documentation. What is declared becomes a validator
of pydantic-core, and that alone judges: a body is the same to Flask's view and to the fast path.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from marshmallow import ValidationError, fields, missing
from marshmallow.validate import Length, Range
from pydantic_core import SchemaValidator, core_schema
from pydantic_core import ValidationError as CoreError

from webapp.web.rest.fields import TextField
from webapp.web.rest.openapi import BaseSchema
from webapp.web.validators import is_storable

CoreSchema = core_schema.CoreSchema
InvalidBodyError = CoreError
"""What a validator raises."""


class StrictSchema(BaseSchema):
    """A schema of integers, texts and lists of them; nothing is converted, and no member is ignored."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """Compile the rules."""
        super().__init__(*arguments, **options)
        self.validator = _compile(self.fields)
        """Judges parsed bodies, and with `validate_json` bytes: raises `InvalidBodyError`."""

    def load(self, data: Any, **_: Any) -> Any:
        """Return a parsed body with its defaults.

        Raises:
            ValidationError: with a reason for each member at fault.
        """
        try:
            return self.validator.validate_python(data)
        except InvalidBodyError as error:
            raise ValidationError(_messages(error)) from error


def _compile(declared: dict[str, fields.Field[Any]]) -> SchemaValidator:
    members = {
        name: core_schema.typed_dict_field(_member(field), required=field.required) for name, field in declared.items()
    }
    return SchemaValidator(core_schema.typed_dict_schema(members, extra_behavior="forbid"))


def _member(field: fields.Field[Any]) -> CoreSchema:
    schema = _value(field)
    if field.allow_none:
        schema = core_schema.nullable_schema(schema)
    if field.load_default is not missing:
        schema = core_schema.with_default_schema(schema, default=field.load_default)
    return schema


def _value(field: fields.Field[Any]) -> CoreSchema:
    length, bounds = _rule(field, Length), _rule(field, Range)
    if isinstance(field, fields.Integer):
        return core_schema.int_schema(strict=True, ge=bounds.min, le=bounds.max)
    if isinstance(field, fields.List):
        return core_schema.list_schema(_value(field.inner), strict=True, min_length=length.min, max_length=length.max)
    if not isinstance(field, TextField):
        raise TypeError(f"{field!r} cannot be compiled")
    text: CoreSchema = core_schema.str_schema(strict=True, min_length=length.min, max_length=length.max)
    checks = [_check_storable, *(rule for rule in field.validators if not isinstance(rule, Length))]
    for check in checks:
        text = core_schema.no_info_after_validator_function(_as_core(check), text)
    return text


def _rule(field: fields.Field[Any], kind: type[Any]) -> Any:
    return next((rule for rule in field.validators if isinstance(rule, kind)), kind())


def _check_storable(text: str) -> None:
    if not is_storable(text):
        raise ValidationError("Contains a character that cannot be stored.")


def _as_core(check: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a validator of marshmallow as one of pydantic-core."""

    def checked(value: Any) -> Any:
        try:
            check(value)
        except ValidationError as error:
            raise ValueError(" ".join(map(str, error.messages))) from error
        return value

    return checked


def _messages(error: InvalidBodyError) -> dict[Any, Any]:
    """Return marshmallow's nested messages: member → position → reasons."""
    messages: dict[Any, Any] = {}
    for detail in error.errors(include_url=False, include_input=False):
        place = messages
        *path, last = detail["loc"] or ("_schema",)
        for part in path:
            place = place.setdefault(part, {})
        place.setdefault(last, []).append(f"{detail['msg'].removeprefix('Value error, ')}.".replace("..", "."))
    return messages
