"""The connection layer: engines, pools and units of work for threads, on MySQL, MariaDB and SQLite.

It is a distribution of its own and imports nothing of `webapp`. Flask is known in the modules `integrations.flask_*`,
PyMySQL in `drivers.mysql.connection`, Gunicorn in `integrations.gunicorn_hooks`.

For an application of its own: `poolproof.adopt(engine)`, `poolproof.Poolproof(app, db)` for Flask-SQLAlchemy,
`poolproof.PoolproofMiddleware` for FastAPI and Starlette, `poolproof.FairQueuePool` as a `poolclass`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from poolproof.adoption.engines import adopt
    from poolproof.adoption.settings import AdoptSettings
    from poolproof.core.queue_pool import FairQueuePool
    from poolproof.integrations.asgi import PoolproofMiddleware
    from poolproof.integrations.flask_adopt import Poolproof
    from poolproof.integrations.flask_blueprints import console_blueprint, metrics_blueprint
    from poolproof.integrations.plain import metrics_text

__all__ = [
    "AdoptSettings",
    "FairQueuePool",
    "Poolproof",
    "PoolproofMiddleware",
    "adopt",
    "console_blueprint",
    "metrics_blueprint",
    "metrics_text",
]

_MODULES = {
    "AdoptSettings": "poolproof.adoption.settings",
    "FairQueuePool": "poolproof.core.queue_pool",
    "Poolproof": "poolproof.integrations.flask_adopt",
    "PoolproofMiddleware": "poolproof.integrations.asgi",
    "adopt": "poolproof.adoption.engines",
    "console_blueprint": "poolproof.integrations.flask_blueprints",
    "metrics_blueprint": "poolproof.integrations.flask_blueprints",
    "metrics_text": "poolproof.integrations.plain",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for: Flask only for an application with Flask, nothing at all for one module of these."""
    if name not in _MODULES:
        raise AttributeError(f"module 'poolproof' has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
