"""Metrics of an application without Flask."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import create_engine

import poolproof


def test_every_adopted_engine_of_the_process_is_shown_by_its_name(tmp_path: Path) -> None:
    engines = [poolproof.adopt(create_engine(f"sqlite:///{tmp_path / name}")) for name in ("orders", "stock")]
    text = poolproof.metrics_text()
    for name in ("orders", "stock"):
        assert f'db_client_connection_max{{db_client_connection_pool_name="{name}"}} 15\n' in text
    for engine in engines:
        engine.dispose()
