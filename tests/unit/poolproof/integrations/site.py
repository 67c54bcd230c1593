"""A small application with adopted engines, for the tests of the Flask extension."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy import Engine, create_engine, text

from poolproof import AdoptSettings, Poolproof

OPTIONS = {"pool_size": 1, "max_overflow": 0, "pool_timeout": 0.1}


@contextmanager
def site(folder: Path, *, testing: bool = True, **options: Any) -> Iterator[tuple[Flask, dict[str, Engine]]]:
    """Make an application with two engines; `/` uses the first of them."""
    app = Flask("site", instance_path=str(folder / "instance"))
    app.testing = testing
    engines = {name: create_engine(f"sqlite:///{folder / name}", **OPTIONS) for name in ("books", "archive")}
    Poolproof(app, engines, settings=AdoptSettings(**options))

    @app.get("/")
    def home() -> str:
        with engines["books"].connect() as connection:
            return str(connection.execute(text("SELECT 1")).scalar_one())

    yield app, engines
    app.extensions["poolproof"].end()
    for engine in engines.values():
        engine.dispose()
