"""`lab load`: visits to an application over HTTP, as a file describes them, and what they say about its pool."""
