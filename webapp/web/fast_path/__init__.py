"""Routes of a push that are answered by a WSGI middleware before Flask."""
