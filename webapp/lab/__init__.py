"""The lab measures the service and rehearses faults; it is never on the serving path.

Rooms, an import only goes to one further down: sizing (the right pool size), pools (kinds of pools compared),
incident (a push at Flask-SQLAlchemy's defaults and at Poolproof), drills (outages) · push (one push and its check) ·
loadgen (clients) · services (servers, stand-ins), reporting (what reports say about the service, and where they are).
What is not about the quiz is in `poolproof.lab`, for any application: sweeps, recommendations, reports, plots.
`commands` has the command group, `factories` makes data for tests and benches.
"""
