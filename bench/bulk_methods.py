"""The ways of `bench/bulk.py` to fill the table of items, and what they fill it with."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pymysql
from sqlalchemy import create_engine, insert
from sqlalchemy.orm import Session

from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.bank import bulk_insert, import_jobs, import_service, imports, source_sync
from webapp.bank.formats.parse_result import Accepted
from webapp.bank.item_draft import ItemDraft, validate_draft
from webapp.bank.items import column_values
from webapp.bank.models import Item
from webapp.lab.services.database_server import DatabaseServer

SEED = 20_260
OTHERS_BATCH = 500
"""Rows of one commit, as SQLAlchemy's and MySQL's manuals suggest hundreds to thousands."""
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
SYLLABLES = ("ba", "re", "to", "ni", "lu", "sha", "en", "or", "ti", "qua", "ver", "mo", "el", "is", "cha", "dra")
BEYOND_ASCII = ("Łódź", "Ångström", "São", "Žižka", "crème", "мир", "東京", "–", "€")
SHARE_BEYOND_ASCII, SHARE_EXPLAINED = 0.1, 0.3
BEGINNINGS = ("Which", "What is the name of the", "In which year did the", "Who was the first", "How many")
CATEGORIES = ("Animals", "Science: Nature", "History", "Music", "Geography", "Film", "Sports", "Literature")

Part = tuple[int, int]
"""From the first to before the last of a thread's items."""
Deed = Callable[[Part], None]


def records(count: int) -> Iterator[Accepted]:
    """Yield different items as a parser would, the same ones each time; one in ten goes beyond ASCII."""
    chance = random.Random(SEED)
    words = ["".join(chance.choices(SYLLABLES, k=chance.randint(1, 4))) for _ in range(8000)]

    def some(fewest: int, most: int) -> str:
        return " ".join(chance.choices(words, k=chance.randint(fewest, most)))

    for number in range(count):
        rare = f" {chance.choice(BEYOND_ASCII)}" if chance.random() < SHARE_BEYOND_ASCII else ""
        draft = ItemDraft(
            kind="single",
            stem=f"{chance.choice(BEGINNINGS)} {some(4, 14)}{rare}, {number}?",
            choices=tuple(f"{some(1, 4)} {letter}".capitalize() for letter in "abcd"),
            right=(chance.randrange(4),),
            explanation=f"{some(8, 20)}." if chance.random() < SHARE_EXPLAINED else "",
            category=chance.choice(CATEGORIES),
            difficulty=chance.choice((None, "easy", "medium", "hard")),
            source="OpenTriviaQA",
            licence="CC BY-SA 4.0",
        )
        yield Accepted(number + 1, validate_draft(draft))


class Material:
    """The items, as drafts and as rows that are ready."""

    def __init__(self, count: int, folder: Path) -> None:
        """Make them."""
        self.folder = folder
        self.drafts = [record.draft for record in records(count)]
        always = {"version": 1, "created_at": NOW, "changed_at": NOW}
        self.rows = [column_values(draft) | always for draft in self.drafts]
        self.names = list(self.rows[0])

    def parts(self, threads: int) -> list[Part]:
        """Return as many parts as threads, of nearly equal size."""
        count = len(self.drafts)
        return [(count * one // threads, count * (one + 1) // threads) for one in range(threads)]

    def plain(self, row: dict[str, Any]) -> tuple[Any, ...]:
        """Return a row as PyMySQL takes it."""
        return tuple(_plain(row[name]) for name in self.names)


@dataclass(frozen=True)
class Way:
    """A way; `prepared` does what is not counted and returns what one thread does."""

    name: str
    prepared: Callable[[DatabaseServer, UnitOfWork, Material, int], Deed]
    may_load: bool = True
    """Whether the server takes LOAD DATA LOCAL."""


def batches(part: Part, size: int) -> Iterator[Part]:
    """Cut a part."""
    start, end = part
    for one in range(start, end, size):
        yield one, min(one + size, end)


def orm(server: DatabaseServer, work: UnitOfWork, material: Material, threads: int) -> Deed:
    """A session, objects, add_all, and a commit for each batch."""
    engine = create_engine(server.url("bank"), pool_size=threads)

    def deed(part: Part) -> None:
        with Session(engine) as session:
            for start, end in batches(part, OTHERS_BATCH):
                session.add_all([Item(**row) for row in material.rows[start:end]])
                session.commit()

    return deed


def core(server: DatabaseServer, work: UnitOfWork, material: Material, threads: int) -> Deed:
    """SQLAlchemy's executemany."""
    engine = create_engine(server.url("bank"), pool_size=threads)

    def deed(part: Part) -> None:
        with engine.connect() as connection:
            for start, end in batches(part, OTHERS_BATCH):
                connection.execute(insert(Item), material.rows[start:end])
                connection.commit()

    return deed


def by_hand(server: DatabaseServer, work: UnitOfWork, material: Material, threads: int) -> Deed:
    """PyMySQL's executemany, which makes one INSERT of many rows."""
    rows = [material.plain(row) for row in material.rows]
    names, marks = ", ".join(f"`{name}`" for name in material.names), ", ".join(["%s"] * len(material.names))
    statement = f"INSERT INTO item ({names}) VALUES ({marks})"  # noqa: S608 - names are ours

    def deed(part: Part) -> None:
        with closing(server.connect("bank")) as connection, connection.cursor() as cursor:
            for start, end in batches(part, OTHERS_BATCH):
                connection.begin()
                cursor.executemany(statement, rows[start:end])
                connection.commit()

    return deed


def load_data(server: DatabaseServer, work: UnitOfWork, material: Material, threads: int) -> Deed:
    """The limit: a file for each thread, sent as it is."""
    binary = {name for name in material.names if isinstance(material.rows[0][name], bytes)}
    names = ", ".join(f"@{name}" if name in binary else f"`{name}`" for name in material.names)
    unpacked = ", ".join(f"`{name}` = UNHEX(@{name})" for name in binary)
    files = {part: material.folder / f"{part[0]}_{part[1]}.tsv" for part in material.parts(threads)}
    for (start, end), file in files.items():
        with file.open("w", encoding="utf-8") as stream:
            stream.writelines("\t".join(map(_field, material.plain(row))) + "\n" for row in material.rows[start:end])

    def deed(part: Part) -> None:
        options: dict[str, Any] = {"database": "bank", "charset": "utf8mb4", "local_infile": True, "ssl_disabled": True}
        with pymysql.connect(host="127.0.0.1", port=server.port, user="root", **options) as connection:
            connection.cursor().execute(
                f"LOAD DATA LOCAL INFILE '{files[part]}' INTO TABLE item CHARACTER SET utf8mb4 ({names}) SET {unpacked}"
            )
            connection.commit()

    return deed


def ours(server: DatabaseServer, work: UnitOfWork, material: Material, threads: int) -> Deed:
    """What `poolproof items import` does with the records of a file, here with so many writers as there are threads."""
    number = begun(work)
    accepted = [Accepted(place, draft) for place, draft in enumerate(material.drafts, start=1)]

    def deed(part: Part) -> None:
        if part[0] == 0:
            report = imports.ImportReport()
            imports.import_records(accepted, import_service.make_batch_handler(work, number), report, writers=threads)

    return deed


def begun(work: UnitOfWork) -> int:
    """Begin an import and return its number."""
    about = import_jobs.ImportSpec(None, "bench", imports.Format.JSON)
    return work.run_in_transaction(
        lambda connection: import_jobs.create(connection, about, import_jobs.ImportState.IMPORTING)
    )


def merged(server: DatabaseServer, work: UnitOfWork, material: Material, threads: int) -> Deed:
    """What the collector does with the drafts of a page."""
    given = [source_sync.SourceRecord(replace(draft, collected_at=NOW)) for draft in material.drafts]

    def deed(part: Part) -> None:
        for start, end in batches(part, bulk_insert.BATCH_SIZE):
            work.run_in_transaction(partial(_merge, given=given[start:end]))

    return deed


def _merge(connection: Any, given: Sequence[source_sync.SourceRecord]) -> list[source_sync.RecordOutcome]:
    return source_sync.merge(connection, "bench", given, NOW)


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return json.dumps(value)
    return value.replace(tzinfo=None) if isinstance(value, datetime) else value


def _field(value: Any) -> str:
    if value is None:
        return r"\N"
    text = value.hex() if isinstance(value, bytes) else str(value)
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")


WAYS = (
    Way("ORM add_all", orm),
    Way("Core executemany", core),
    Way("multi-row INSERT by hand", by_hand),
    Way("LOAD DATA LOCAL", load_data),
    Way("ours, from drafts", ours),
    Way("ours, by INSERT alone", ours, may_load=False),
    Way("ours, merging", merged),
)
