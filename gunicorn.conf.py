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
from webapp.web.server.file_limit import connections_for, raise_file_limit
from webapp.web.server.gunicorn_logger import logger_class as logger_class_for
from webapp.web.server.gunicorn_worker import PoolproofWorker
from webapp.web.server.limits import ClientTimeouts
from webapp.web.server.rolling_restart import adopt, install, report_ready

_all_settings = load_settings()
_settings = _all_settings.poolproof
_notes = list_notes(_all_settings)

# Once, for all workers: a reload does not load libraries anew.
preload_libraries()

wsgi_app = "wsgi:app"
# A main loop that collects whole requests, and threads that answer them.
worker_class = "gthread" if _settings.worker_class == "gthread" else PoolproofWorker
PoolproofWorker.timeouts = ClientTimeouts(
    head=_settings.head_timeout,
    body=_settings.body_timeout,
    upload=_settings.upload_timeout,
    keep_alive=_settings.keep_alive,
)
bind = [_settings.bind]
if _settings.console_bind != OFF:
    # The console is served on this address only.
    bind.append(_settings.console_bind)
workers = _settings.workers
threads = _settings.threads
# Players keep their connections during a push, and each is an open file.
worker_connections = connections_for(raise_file_limit())
backlog = 2048
keepalive = _settings.keep_alive
# At different times, or all workers would be replaced in the same minute.
max_requests = _settings.max_requests
max_requests_jitter = _settings.max_requests // 5
# What a proxy says is believed or not in the app, by POOLPROOF_TRUSTED_PROXIES. By Gunicorn's own default every client
# on this machine may say that it came by HTTPS, and under which prefix (SCRIPT_NAME).
forwarded_allow_ips = ""
forwarder_headers = ""
secure_scheme_headers: dict[str, str] = {}
http_protocols = "h1"
# Gunicorn's own parser, also where gunicorn_h1c is installed: see docs/the-way-of-an-answer.md.
http_parser = "python"
# A response goes through memory, so that no thread waits for a client.
sendfile = False
# The heartbeat of a worker's main loop, no limit for requests: these are bounded by the time-outs of the pool and
# the sockets.
timeout = 30
graceful_timeout = 30
accesslog = None
errorlog = "-"
loglevel = _settings.log_level
logger_class = logger_class_for(_settings.log_format)
proc_name = "poolproof"
# The server is controlled by signals only.
control_socket_disable = True

# A reload (HUP) must load new code: modules of ours that the master has imported would be inherited by every new
# worker.
for _name in [name for name in sys.modules if name.partition(".")[0] in {"webapp", "poolproof"}]:
    del sys.modules[_name]


def on_starting(server: Any) -> None:
    """Check the connection budget once, before the first worker, in a child process, which keeps our modules."""
    install(server)
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


def pre_fork(server: Any, worker: Any) -> None:
    """Let the worker know that it is replaced without a gap."""
    adopt(server, worker)


def post_worker_init(worker: Any) -> None:
    """Register in the fleet, and exempt everything loaded so far from garbage collection: it is never freed."""
    from poolproof.integrations.gunicorn_hooks import post_worker_init as register

    register(worker)
    worker.wsgi.extensions["retention_task"].start()
    gc.collect()
    gc.freeze()
    report_ready(worker)


def worker_exit(server: Any, worker: Any) -> None:
    """Close the worker's connections."""
    from poolproof.integrations.gunicorn_hooks import worker_exit as close

    # A worker that could not start has no app.
    if (app := getattr(worker, "wsgi", None)) is not None:
        app.extensions["retention_task"].stop()
    close()
