from __future__ import annotations

import pytest
from werkzeug.http import parse_options_header

from webapp.web.file_names import content_disposition


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("Pools.csv", "Pools.csv"),
        ("Größe & Rang.csv", "Größe & Rang.csv"),
        ("커넥션 풀.xlsx", "커넥션 풀.xlsx"),
        ('a/b\\c"d\r\nX: y.csv', "a b c d X y.csv"),
        ("....csv", "file.csv"),
    ],
)
def test_a_browser_reads_the_name_without_what_no_file_may_have(name: str, read: str) -> None:
    header = content_disposition(name)
    header.encode("ascii")
    kind, options = parse_options_header(header)
    assert (kind, options["filename"]) == ("attachment", read)


def test_a_client_that_reads_ascii_only_gets_a_name_too() -> None:
    assert 'filename="Groe.csv"' in content_disposition("Größe.csv")
    assert 'filename="file.xlsx"' in content_disposition("커넥션.xlsx")
