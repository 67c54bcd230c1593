"""Quizzes: drafts that authors change, and published versions that nobody can."""
