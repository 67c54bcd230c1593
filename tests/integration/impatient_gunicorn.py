"""The product's own configuration of Gunicorn, with less patience for clients that stop in the midst of a request."""

from __future__ import annotations

from runpy import run_path

from tests.integration.impatience import SILENT_FOR
from webapp.web.server import connection as server_connection

# Gunicorn's worker class keeps this module, also when the configuration has the master forget it.
server_connection.READ_TIMEOUT = SILENT_FOR
globals().update(run_path("gunicorn.conf.py"))
