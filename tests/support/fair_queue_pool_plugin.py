"""A plugin of pytest for SQLAlchemy's own tests: what they make as a QueuePool is a FairQueuePool.

It is loaded before SQLAlchemy's conftest, so no module of theirs has taken the name from `sqlalchemy.pool` yet.
"""

from __future__ import annotations

import sqlalchemy.pool

from poolproof.core.queue_pool import FairQueuePool

sqlalchemy.pool.QueuePool = FairQueuePool  # type: ignore[misc]
