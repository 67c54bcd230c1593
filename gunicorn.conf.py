"""Gunicorn, configured from Poolproof's own settings."""

from __future__ import annotations

import gc
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from webapp.forking import preload_libraries, run_in_child
from webapp.settings import OFF, list_notes, load_settings
from webapp.web.server.gunicorn_logger import logger_class as logger_class_for
from webapp.web.server.gunicorn_worker import PoolproofWorker

_all_settings = load_settings()
_settings = _all_settings.poolproof
_notes = list_notes(_all_settings)

# Once, for all workers: a reload does not load libraries anew.
preload_libraries()

wsgi_app = "wsgi:app"
# gthread, whose responses may be deferred until a commit.
worker_class = PoolproofWorker
bind = [_settings.bind]
if _settings.console_bind != OFF:
    # The console is served on this address only.
    bind.append(_settings.console_bind)
workers = _settings.workers
threads = _settings.threads
# Players keep their connections during a push; above this number each would be closed after a response.
worker_connections = 20_000
backlog = 2048
keepalive = 15
# The heartbeat of a worker's main loop, no limit for requests: these are bounded by the time-outs of the pool and
# the sockets.
timeout = 30
graceful_timeout = 30
accesslog = None
errorlog = "-"
loglevel = _settings.log_level
logger_class = logger_class_for(_settings.log_format)
proc_name = "poolproof"
# What a proxy says is believed or not in the app, by POOLPROOF_TRUSTED_PROXIES. By Gunicorn's own default every client
# on this machine may say that it came by HTTPS, and under which prefix.
forwarded_allow_ips = ""
# The server is controlled by signals only.
control_socket_disable = True

# A reload (HUP) must load new code: modules of ours that the master has imported would be inherited by every new
# worker.
for _name in [name for name in sys.modules if name.partition(".")[0] in {"webapp", "poolproof"}]:
    del sys.modules[_name]


def on_starting(server: Any) -> None:
    """Check the connection budget once, before the first worker, in a child process, which keeps our modules."""
    for note in _notes:
        server.log.warning(note)
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
    """Restart the collectors, too."""
    if getattr(server, "collectors", None) is not None:
        server.collectors.send_signal(signal.SIGHUP)


def on_exit(server: Any) -> None:
    """Terminate the collectors."""
    if getattr(server, "collectors", None) is not None:
        server.collectors.terminate()


def post_worker_init(worker: Any) -> None:
    """Register in the fleet, and exempt everything loaded so far from garbage collection: it is never freed."""
    from poolproof.integrations.gunicorn_hooks import post_worker_init as register

    register(worker)
    gc.collect()
    gc.freeze()


def worker_exit(server: Any, worker: Any) -> None:
    """Close the worker's connections."""
    from poolproof.integrations.gunicorn_hooks import worker_exit as close

    close()
