"""The manners of REST: the document, problems, pages of lists, conditional requests, idempotency."""
