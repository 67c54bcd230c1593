"""REST: a token for a name and password."""

from __future__ import annotations

from typing import Any

from flask import current_app
from marshmallow import fields, validate

from poolproof.integrations.flask_ext import get_pooling
from webapp.accounts import authentication, devices, passwords, tokens
from webapp.web.rest.fields import TextField
from webapp.web.rest.openapi import BaseSchema, api_blueprint, problem_responses

blueprint = api_blueprint("tokens", __name__, "/tokens", "Sign in for REST.")


class SignIn(BaseSchema):
    """Name and password of a user."""

    name = TextField(required=True, validate=validate.Length(1, 64))
    password = TextField(required=True, validate=validate.Length(1, passwords.MAX_LENGTH))


class Token(BaseSchema):
    """Send it as `Authorization: Bearer …`."""

    token = fields.String(required=True)
    expires_in = fields.Integer(required=True, metadata={"description": "Seconds"})
    role = fields.String(required=True)


@blueprint.route("", methods=["POST"])
@blueprint.arguments(SignIn)
@blueprint.response(201, Token)
@blueprint.doc(operationId="createToken")
@problem_responses(blueprint, 400, 401, 403, 413, 415, 422, 429, 503)
def create_token(body: dict[str, str]) -> dict[str, Any]:
    """Get a token."""
    # A client of REST keeps no cookie: it is an unknown device each time.
    user = authentication.authenticate(get_pooling().work, body["name"], body["password"], devices.new_device())
    return {
        "token": tokens.issue(user, current_app.config["SECRET_KEY"]),
        "expires_in": current_app.config["API_TOKEN_TTL"],
        "role": user.role.value,
    }
