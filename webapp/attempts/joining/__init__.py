"""Joining a quiz by its code."""
