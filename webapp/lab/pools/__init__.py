"""`poolproof lab strategies`: the same work on each kind of pool, and how each behaves."""
