"""What all features share over HTTP: the Gunicorn worker, the fast path, REST, security, forms and files."""
