"""The methods of `bench/bulk.py` that fill the table of items, and the items that they insert."""

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
REFERENCE_BATCH_SIZE = 500
"""Rows of one commit, as SQLAlchemy's and MySQL's manuals suggest hundreds to thousands."""
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
SYLLABLES = ("ba", "re", "to", "ni", "lu", "sha", "en", "or", "ti", "qua", "ver", "mo", "el", "is", "cha", "dra")
NON_ASCII_WORDS = ("Łódź", "Ångström", "São", "Žižka", "crème", "мир", "東京", "–", "€")
NON_ASCII_SHARE, EXPLANATION_SHARE = 0.1, 0.3
STEM_STARTS = ("Which", "What is the name of the", "In which year did the", "Who was the first", "How many")
CATEGORIES = ("Animals", "Science: Nature", "History", "Music", "Geography", "Film", "Sports", "Literature")

Part = tuple[int, int]
"""The range of a thread's items: its first one, and the one after its last."""
Task = Callable[[Part], None]


def records(count: int) -> Iterator[Accepted]:
    """Yield different items as a parser would, the same ones each time; one in ten is not ASCII."""
    chance = random.Random(SEED)
    words = ["".join(chance.choices(SYLLABLES, k=chance.randint(1, 4))) for _ in range(8000)]

    def phrase(min_words: int, max_words: int) -> str:
        return " ".join(chance.choices(words, k=chance.randint(min_words, max_words)))

    for number in range(count):
        suffix = f" {chance.choice(NON_ASCII_WORDS)}" if chance.random() < NON_ASCII_SHARE else ""
        draft = ItemDraft(
            kind="single",
            stem=f"{chance.choice(STEM_STARTS)} {phrase(4, 14)}{suffix}, {number}?",
            choices=tuple(f"{phrase(1, 4)} {letter}".capitalize() for letter in "abcd"),
            right=(chance.randrange(4),),
            explanation=f"{phrase(8, 20)}." if chance.random() < EXPLANATION_SHARE else "",
            category=chance.choice(CATEGORIES),
            difficulty=chance.choice((None, "easy", "medium", "hard")),
            source="OpenTriviaQA",
            licence="CC BY-SA 4.0",
        )
        yield Accepted(number + 1, validate_draft(draft))


class Material:
    """The items, as drafts and as prepared rows."""

    def __init__(self, count: int, folder: Path) -> None:
        """Create them."""
        self.folder = folder
        self.drafts = [record.draft for record in records(count)]
        constants = {"version": 1, "created_at": NOW, "changed_at": NOW}
        self.rows = [column_values(draft) | constants for draft in self.drafts]
        self.names = list(self.rows[0])

    def parts(self, threads: int) -> list[Part]:
        """Return as many parts as threads, of nearly equal size."""
        count = len(self.drafts)
        return [(count * index // threads, count * (index + 1) // threads) for index in range(threads)]

    def to_parameters(self, row: dict[str, Any]) -> tuple[Any, ...]:
        """Return a row as parameters of PyMySQL."""
        return tuple(_to_parameter(row[name]) for name in self.names)


@dataclass(frozen=True)
class InsertMethod:
    """A method; `prepare` does the work that is not measured and returns the task of a thread."""

    name: str
    prepare: Callable[[DatabaseServer, UnitOfWork, Material, int], Task]
    allows_load_data: bool = True
    """Whether the server allows LOAD DATA LOCAL."""


def batches(part: Part, size: int) -> Iterator[Part]:
    """Split a part into batches."""
    start, end = part
    for batch_start in range(start, end, size):
        yield batch_start, min(batch_start + size, end)


def orm(server: DatabaseServer, work: UnitOfWork, material: Material, threads: int) -> Task:
    """A session with objects, add_all, and a commit for each batch."""
    engine = create_engine(server.url("bank"), pool_size=threads)

    def insert_part(part: Part) -> None:
        with Session(engine) as session:
            for start, end in batches(part, REFERENCE_BATCH_SIZE):
                session.add_all([Item(**row) for row in material.rows[start:end]])
                session.commit()

    return insert_part


def core(server: DatabaseServer, work: UnitOfWork, material: Material, threads: int) -> Task:
    """SQLAlchemy's executemany."""
    engine = create_engine(server.url("bank"), pool_size=threads)

    def insert_part(part: Part) -> None:
        with engine.connect() as connection:
            for start, end in batches(part, REFERENCE_BATCH_SIZE):
                connection.execute(insert(Item), material.rows[start:end])
                connection.commit()

    return insert_part


def pymysql_executemany(server: DatabaseServer, work: UnitOfWork, material: Material, threads: int) -> Task:
    """PyMySQL's executemany, which builds one INSERT of many rows."""
    rows = [material.to_parameters(row) for row in material.rows]
    names, placeholders = ", ".join(f"`{name}`" for name in material.names), ", ".join(["%s"] * len(material.names))
    statement = f"INSERT INTO item ({names}) VALUES ({placeholders})"  # noqa: S608 - names are ours

    def insert_part(part: Part) -> None:
        with closing(server.connect("bank")) as connection, connection.cursor() as cursor:
            for start, end in batches(part, REFERENCE_BATCH_SIZE):
                connection.begin()
                cursor.executemany(statement, rows[start:end])
                connection.commit()

    return insert_part


def load_data(server: DatabaseServer, work: UnitOfWork, material: Material, threads: int) -> Task:
    """The upper limit: a prepared file for each thread."""
    binary = {name for name in material.names if isinstance(material.rows[0][name], bytes)}
    names = ", ".join(f"@{name}" if name in binary else f"`{name}`" for name in material.names)
    assignments = ", ".join(f"`{name}` = UNHEX(@{name})" for name in binary)
    files = {part: material.folder / f"{part[0]}_{part[1]}.tsv" for part in material.parts(threads)}
    for (start, end), file in files.items():
        with file.open("w", encoding="utf-8") as stream:
            stream.writelines(
                "\t".join(map(_field, material.to_parameters(row))) + "\n" for row in material.rows[start:end]
            )

    def insert_part(part: Part) -> None:
        options: dict[str, Any] = {"database": "bank", "charset": "utf8mb4", "local_infile": True, "ssl_disabled": True}
        with pymysql.connect(host="127.0.0.1", port=server.port, user="root", **options) as connection:
            connection.cursor().execute(
                f"LOAD DATA LOCAL INFILE '{files[part]}' INTO TABLE item"
                f" CHARACTER SET utf8mb4 ({names}) SET {assignments}"
            )
            connection.commit()

    return insert_part


def ours(server: DatabaseServer, work: UnitOfWork, material: Material, threads: int) -> Task:
    """What `poolproof items import` does with the records of a file, with as many writers as there are threads."""
    number = create_import(work)
    accepted = [Accepted(line, draft) for line, draft in enumerate(material.drafts, start=1)]

    def insert_part(part: Part) -> None:
        if part[0] == 0:
            report = imports.ImportReport()
            imports.import_records(accepted, import_service.make_batch_handler(work, number), report, writers=threads)

    return insert_part


def create_import(work: UnitOfWork) -> int:
    """Create an import and return its number."""
    spec = import_jobs.ImportSpec(None, "bench", imports.Format.JSON)
    return work.run_in_transaction(
        lambda connection: import_jobs.create(connection, spec, import_jobs.ImportState.IMPORTING)
    )


def merge(server: DatabaseServer, work: UnitOfWork, material: Material, threads: int) -> Task:
    """What the collector does with the drafts of a page."""
    source_records = [source_sync.SourceRecord(replace(draft, collected_at=NOW)) for draft in material.drafts]

    def insert_part(part: Part) -> None:
        for start, end in batches(part, bulk_insert.BATCH_SIZE):
            work.run_in_transaction(partial(_merge, source_records=source_records[start:end]))

    return insert_part


def _merge(connection: Any, source_records: Sequence[source_sync.SourceRecord]) -> list[source_sync.RecordOutcome]:
    return source_sync.merge(connection, "bench", source_records, NOW)


def _to_parameter(value: Any) -> Any:
    if isinstance(value, list):
        return json.dumps(value)
    return value.replace(tzinfo=None) if isinstance(value, datetime) else value


def _field(value: Any) -> str:
    if value is None:
        return r"\N"
    text = value.hex() if isinstance(value, bytes) else str(value)
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")


METHODS = (
    InsertMethod("ORM add_all", orm),
    InsertMethod("Core executemany", core),
    InsertMethod("multi-row INSERT by hand", pymysql_executemany),
    InsertMethod("LOAD DATA LOCAL", load_data),
    InsertMethod("ours, from drafts", ours),
    InsertMethod("ours, by INSERT alone", ours, allows_load_data=False),
    InsertMethod("ours, merging", merge),
)
