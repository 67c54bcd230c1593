"""Users, their roles, passwords and tokens, and the authorization of routes."""
