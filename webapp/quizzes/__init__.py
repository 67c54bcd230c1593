"""Quizzes: drafts, which authors change, and published versions, which never change."""
