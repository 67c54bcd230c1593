"""The lease on a database's set-up: one process at a time migrates, and makes what a first start needs."""
