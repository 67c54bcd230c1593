"""The page of `console_blueprint`: one HTML document without scripts, drawn from what the processes have published."""

from __future__ import annotations

import time
from collections.abc import Sequence

from jinja2 import Environment

from poolproof.adoption.doctor import check_counters
from poolproof.fleet.registry import FleetSnapshot
from poolproof.runtime.files import JsonObject

REFRESH_INTERVAL = 5
"""Seconds after which a browser asks for the page again."""

_TEMPLATE = """<!doctype html>
<html lang="en">
<meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="refresh" content="{{ refresh }}">
<title>Connection pools</title>
<style>
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif }
body { max-width: 70rem; margin: 1rem auto; padding: 0 1rem }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid #8886; vertical-align: top }
code { overflow-wrap: anywhere }
</style>
<h1>Connection pools</h1>
<h2>Advice</h2>
<ul>{% for finding in findings %}<li>{{ finding.check }}: {{ finding.sentence }} {{ finding.remedy }}</li>
{% else %}<li>No connection is held wrongly, and no request was without one.</li>{% endfor %}</ul>
<h2>Pools</h2>
<table><tr><th>Process<th>Pool<th>In use<th>Idle<th>At most<th>Waiting<th>First waits
{% for member in members %}{% for name, lane in member.status.get("lanes", {}).items() %}
<tr><td>{{ member.identity.name }} {{ member.identity.pid }}<td>{{ name }}<td>{{ lane.used }}<td>{{ lane.idle }}
<td>{{ lane.most if lane.most is not none else "any number" }}<td>{{ lane.waiting }}<td>{{ lane.oldest }} s
{% endfor %}{% endfor %}</table>
<h2>Checked-out connections</h2>
<table><tr><th>For<th>By<th>Pool<th>Borrowed at<th>Statement
{% for holder in holders %}<tr><td>{{ holder.seconds }} s<td>{{ holder.name }}<td>{{ holder.lane }}
<td><code>{{ holder.place }}</code><td><code>{{ holder.statement }}</code>
{% else %}<tr><td colspan="5">None for longer than a moment.{% endfor %}</table>
<h2>Recent events</h2>
<table>{% for event in events %}<tr><td>{{ event.ago }} s ago<td>{{ event.kind }}<td>{{ event.sentence }}
{% else %}<tr><td>None.{% endfor %}</table>
</html>
"""

# Not the application's environment: its context processors may need the database.
_page = Environment(autoescape=True).from_string(_TEMPLATE)


def render_page(fleet: FleetSnapshot, events: Sequence[JsonObject]) -> str:
    """Return the page for the state of the fleet and its recent events."""
    holders = [holder for member in fleet.members for holder in member.status.get("holders", ())]
    now = time.time()
    return _page.render(
        refresh=REFRESH_INTERVAL,
        findings=list(check_counters(fleet.counters.get("lanes", {}))),
        members=fleet.members,
        holders=sorted(holders, key=lambda holder: -float(holder["seconds"])),
        events=[{**event, "ago": max(0, round(now - event["at"]))} for event in events],
    )
