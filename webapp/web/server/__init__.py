"""The Gunicorn worker and what it serves connections with."""
