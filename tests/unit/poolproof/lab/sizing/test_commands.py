"""`python -m poolproof lab size`: an application's statements, on its database."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import URL

from poolproof.lab.loadgen.load_profile import LoadProfile
from poolproof.lab.sizing.bottleneck import find_bottlenecks
from poolproof.lab.sizing.commands import command
from poolproof.lab.sizing.measurements import Setting
from poolproof.lab.sizing.workload import Workload
from poolproof.lab.sizing.workload_bench import WorkloadBench
from poolproof.lab.workload_schema import open_workload_schema
from tests.support.narrowing import not_none

ORDERS = """
title = "Orders"
threads = 4
setup = ["CREATE TABLE orders (id BIGINT PRIMARY KEY, customer VARCHAR(20))"]
[[operation]]
weight = 3
reads = true
statements = ["SELECT COUNT(*) FROM orders WHERE customer = :customer"]
parameters = { customer = { choice = ["ada", "grace"] } }
[[operation]]
statements = ["INSERT INTO orders VALUES (:id, :customer)"]
parameters = { id = { unique = true }, customer = { text = 8 } }
"""
ONE_ROW = Workload.model_validate(
    {
        "title": "One row",
        "threads": 4,
        "setup": ["CREATE TABLE stock (id INT PRIMARY KEY, n INT)", "INSERT INTO stock VALUES (1, 0)"],
        "operation": [{"statements": ["UPDATE stock SET n = n + 1 WHERE id = :row"], "hold": 0.01}],
    }
)


def invoke(folder: Path, *arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(command, [*arguments, "--reports", str(folder)], prog_name="size")
    return done.exit_code, done.output


def test_on_postgresql_rows_that_are_waited_for_are_seen_to_limit(postgresql_url: URL) -> None:
    url = postgresql_url.render_as_string(hide_password=False)
    with open_workload_schema(url, makes_tables=True) as own, closing(WorkloadBench(own, ONE_ROW, None)) as bench:
        run = bench.measure(Setting(4, 4), LoadProfile(0.2, 1.0))
    assert run.failed == 0
    assert run.throughput > 10
    assert not_none(run.usage.lock_share) > 0.3
    assert "locks" in find_bottlenecks(run.usage, still_rises=False, server_is_local=True).names


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("postgresql+psycopg://app:secret@192.0.2.1/app", "loads the database server on 192.0.2.1"),
        ("postgresql+psycopg://app:secret@127.0.0.1/app", "change the tables of postgresql+psycopg://app:***@"),
    ],
)
def test_tables_and_servers_that_are_not_the_labs_need_a_yes(tmp_path: Path, url: str, sentence: str) -> None:
    (tmp_path / "own.toml").write_text("title = 'x'\n[[operation]]\nstatements = ['DELETE FROM orders']")
    code, text = invoke(tmp_path, "--url", url, "--workload", str(tmp_path / "own.toml"))
    assert code == 2
    assert sentence in " ".join(text.split())


def test_a_mistake_in_the_file_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(ORDERS.replace("unique = true", "uniqe = true"))
    code, text = invoke(tmp_path, "--url", f"sqlite:///{tmp_path}/x", "--workload", str(tmp_path / "own.toml"))
    assert code == 1
    assert "own.toml: operation.2.parameters.id.uniqe: Extra inputs are not permitted." in text


@pytest.mark.soak
def test_a_size_is_recommended_with_lines_to_paste(postgresql_url: URL, tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(ORDERS)
    url = postgresql_url.render_as_string(hide_password=False)
    options = ("--minutes", "0.1", "--repetitions", "2", "--json")
    code, text = invoke(tmp_path, "--url", url, "--workload", str(tmp_path / "own.toml"), *options)
    assert code == 0, text
    report = json.loads(text[text.index("{") :])
    size = report["data"]["recommended"]["pool"]
    assert report["verdict"].startswith(f"pool_size={size} for 1 × 4 threads: ")
    assert f'"pool_size": {size}, "max_overflow": 0' in report["settings"]
    assert list(tmp_path.glob("*-size.html"))
