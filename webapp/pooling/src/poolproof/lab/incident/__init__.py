"""`lab incident`: the same threads at SQLAlchemy's own pool and at the fair one, on the same connections."""
