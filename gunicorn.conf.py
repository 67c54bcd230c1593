"""Gunicorn, configured from Poolproof's own settings."""

from __future__ import annotations

import sys
from typing import Any

from webapp.settings import load_settings

_settings = load_settings().poolproof

wsgi_app = "wsgi:app"
worker_class = "gthread"
bind = _settings.bind
workers = _settings.workers
threads = _settings.threads
backlog = 2048
keepalive = 15
# Not a limit for requests: a heartbeat of the worker's main loop. Requests are bounded by
# the pool's and the sockets' time-outs.
timeout = 30
graceful_timeout = 30
accesslog = None
errorlog = "-"
proc_name = "poolproof"
# Nobody steers the server through a socket of its own.
control_socket_disable = True

# A reload (HUP) must load new code: whatever of ours the master has imported would be
# inherited by every new worker instead.
for _name in [name for name in sys.modules if name == "webapp" or name.startswith("webapp.")]:
    del sys.modules[_name]


def worker_exit(server: Any, worker: Any) -> None:
    """Close the worker's connections; imported here, in the worker (see above)."""
    from webapp.pooling.hooks import worker_exit as close

    close()
