"""Our app with a view that borrows every slot of its worker, for Gunicorn: `gunicorn tests.integration.lending:app`."""

from __future__ import annotations

import os

from poolproof.integrations.flask_ext import get_pooling
from tests.support.lending import lend_every_slot
from webapp import create_app

app = create_app()


@app.get("/lend")
def lend() -> dict[str, object]:
    return {"worker": os.getpid(), "lanes": {lane.name: lend_every_slot(lane.engine) for lane in get_pooling().lanes}}
