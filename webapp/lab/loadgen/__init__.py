"""Clients that load a running service, and processes that run and kill collections; for the lab, tests and benches."""
