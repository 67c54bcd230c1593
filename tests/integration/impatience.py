"""How long a client may be silent, in tests that wait for it."""

SILENT_FOR = 2.0
