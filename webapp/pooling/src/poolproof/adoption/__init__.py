"""Engines of an application of its own: fair pools, deadlines, leak reports and metrics, and no session is changed."""
