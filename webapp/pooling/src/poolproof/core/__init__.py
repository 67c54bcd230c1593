"""The pool: who gets a connection when, and what that is measured by."""
