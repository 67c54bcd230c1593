"""The Gunicorn worker, its connections, threads and deferred responses, and the supervisor of collectors."""
