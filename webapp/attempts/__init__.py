"""Attempts: one player's go at one published version, from start to board."""
