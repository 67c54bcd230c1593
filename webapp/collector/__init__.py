"""Collect questions from sources over HTTP: within their limits, each record once, interrupted runs resumable."""
