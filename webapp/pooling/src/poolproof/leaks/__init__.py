"""Checkouts by request, and the detection of those that are wrong."""
