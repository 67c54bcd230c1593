"""REST: a name and password become a token."""

from __future__ import annotations

from typing import Any

from flask import current_app
from marshmallow import fields, validate

from webapp.accounts import passwords, tokens, users
from webapp.errors import SignInRequiredError
from webapp.pooling.extension import read
from webapp.web.openapi import Schema, Text, api_blueprint, problems

blueprint = api_blueprint("tokens", __name__, "/tokens", "Sign in for REST.")


class SignIn(Schema):
    """Name and password of a user."""

    name = Text(required=True, validate=validate.Length(1, 64))
    password = Text(required=True, validate=validate.Length(1, passwords.LONGEST))


class Token(Schema):
    """Send it as `Authorization: Bearer …`."""

    token = fields.String(required=True)
    expires_in = fields.Integer(required=True, metadata={"description": "Seconds"})
    role = fields.String(required=True)


@blueprint.route("", methods=["POST"])
@blueprint.arguments(SignIn)
@blueprint.response(201, Token)
@blueprint.doc(operationId="createToken")
@problems(blueprint, 400, 401, 413, 415, 422)
def create_token(given: dict[str, str]) -> dict[str, Any]:
    """Get a token."""
    with read() as connection:
        found = users.credentials_of(connection, given["name"])
    if not passwords.is_right(given["password"], found.password_hash if found else None) or found is None:
        raise SignInRequiredError("Name or password is wrong.")
    return {
        "token": tokens.issue(found.user, current_app.config["SECRET_KEY"]),
        "expires_in": current_app.config["TOKEN_SECONDS"],
        "role": found.user.role.value,
    }
