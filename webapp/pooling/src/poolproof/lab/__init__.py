"""The lab: finds the right pool size, loads an application over HTTP, and rehearses the incident.

It needs the extra `lab` and is imported by nothing else of `poolproof`: never on the serving path.
"""
