"""The product's own configuration of Gunicorn, with less patience for clients that stop in the midst of a request."""

from __future__ import annotations

from runpy import run_path

from tests.faults.impatience import SILENT_FOR
from webapp.web import clients

# Gunicorn's worker class keeps this module, also when the configuration has the master forget it.
clients.READ_TIMEOUT = SILENT_FOR
globals().update(run_path("gunicorn.conf.py"))
