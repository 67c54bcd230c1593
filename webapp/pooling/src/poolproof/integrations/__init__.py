"""Doors for Flask, WSGI and Gunicorn."""
