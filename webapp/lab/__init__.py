"""The lab measures the service and rehearses faults; it is never on the serving path.

Rooms, an import only goes to one further down: sizing (the right pool size), pools (kinds of pools compared),
incident (a push at Flask-SQLAlchemy's defaults and at Poolproof), drills (outages) · push (one push and its check) ·
loadgen (clients) · services (servers, stand-ins, scratch schemas), reporting (reports, plots, options of commands).
`commands` has the command group, `factories` makes data for tests and benches.
"""
