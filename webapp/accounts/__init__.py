"""Users, their roles, passwords and tokens, and the one guard in front of routes."""
