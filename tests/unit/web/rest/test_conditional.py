from __future__ import annotations

import pytest
from flask import Flask

from webapp.errors import DomainError, VersionMismatchError, VersionRequiredError
from webapp.web.rest.conditional import etag, expected_version


def version_from_header(value: str | None) -> int:
    with Flask("small").test_request_context(headers={"If-Match": value} if value else {}):
        return expected_version()


def test_the_tag_that_we_gave_names_its_version() -> None:
    assert version_from_header(etag(7)["ETag"]) == 7


def test_a_tag_that_a_proxy_has_made_weak_names_the_same_version() -> None:
    assert version_from_header('W/"7"') == version_from_header('w/"7"') == 7


def test_no_proxy_is_to_change_what_a_client_sends_back() -> None:
    assert "no-transform" in etag(7)["Cache-Control"]


@pytest.mark.parametrize(
    ("value", "refusal"),
    [
        (None, VersionRequiredError),
        ("*", VersionRequiredError),
        ('"seven"', VersionMismatchError),
        ('W/"seven"', VersionMismatchError),
        ('W/"7", "8"', VersionMismatchError),
        ("W/", VersionMismatchError),
        (",", VersionMismatchError),
        ('"\xff"', VersionMismatchError),
        ('""', VersionMismatchError),
        ('"7", "8"', VersionMismatchError),
        ('"' + "9" * 40 + '"', VersionMismatchError),
    ],
)
def test_any_other_tag_is_refused(value: str | None, refusal: type[DomainError]) -> None:
    with pytest.raises(refusal):
        version_from_header(value)
