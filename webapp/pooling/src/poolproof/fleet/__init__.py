"""Processes that know of each other through files in one folder."""
