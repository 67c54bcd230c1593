"""Integrations with Flask, WSGI and Gunicorn."""
