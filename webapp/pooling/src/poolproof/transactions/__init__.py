"""Units of work over the pool: read, transaction, autocommit, group commit, a cached read."""
