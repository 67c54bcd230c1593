"""Gunicorn, configured from Poolproof's own settings."""

from __future__ import annotations

import gc
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from webapp.forking import preload_libraries, run_in_child
from webapp.settings import load_settings
from webapp.web.server.gunicorn_worker import PoolproofWorker

_all_settings = load_settings()
_settings = _all_settings.poolproof

# Once, for every worker: libraries are no part of a reload.
preload_libraries()

wsgi_app = "wsgi:app"
# gthread, whose threads need not wait for a commit.
worker_class = PoolproofWorker
bind = [_settings.bind]
if _settings.console_bind != "off":
    # For operators: what is served there is not served on the public address.
    bind.append(_settings.console_bind)
workers = _settings.workers
threads = _settings.threads
# People of a push keep their connections; one above this number would be closed after each answer.
worker_connections = 20_000
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
for _name in [name for name in sys.modules if name.partition(".")[0] in {"webapp", "poolproof"}]:
    del sys.modules[_name]


def on_starting(server: Any) -> None:
    """Prove the budget once, before the first worker; in a process of its own, for the same reason."""
    if run_in_child(_check_budget):
        sys.exit(1)

    if _settings.collector_processes:
        collector = [sys.executable, "-m", "webapp", "collect", "worker"]
        supervisor = Path(__file__).parent / "webapp" / "web" / "server" / "supervisor.py"
        server.collectors = subprocess.Popen(
            [sys.executable, str(supervisor), str(_settings.collector_processes), *collector], cwd=Path(__file__).parent
        )


def _check_budget() -> None:
    from webapp.console.findings import check_at_boot

    check_at_boot(_all_settings.database_url, _settings.fleet, _all_settings.pool)


def on_reload(server: Any) -> None:
    """Have the collectors begin anew as well."""
    if getattr(server, "collectors", None) is not None:
        server.collectors.send_signal(signal.SIGHUP)


def on_exit(server: Any) -> None:
    """End the collectors in order."""
    if getattr(server, "collectors", None) is not None:
        server.collectors.terminate()


def post_worker_init(worker: Any) -> None:
    """Take part in the fleet; keep the garbage collector from what stays for ever: it would look at it all the time."""
    from poolproof.integrations.gunicorn_hooks import post_worker_init as take_part

    take_part(worker.age, worker.tpool)
    gc.collect()
    gc.freeze()


def worker_exit(server: Any, worker: Any) -> None:
    """Close the worker's connections; imported here, in the worker (see above)."""
    from poolproof.integrations.gunicorn_hooks import worker_exit as close

    close()
