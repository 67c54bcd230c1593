"""Threads, forks, files and pauses: independent of databases."""
