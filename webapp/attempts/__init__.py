"""Attempts: one player's answers to one published version, from the start to the leaderboard."""
