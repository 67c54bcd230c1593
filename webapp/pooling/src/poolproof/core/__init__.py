"""The pool: which caller gets a connection when, and the counters of it."""
