"""Test play: an author plays a quiz as a player does, and nothing of it is stored."""
