"""Reports: one HTML page each, with figures, tables and where they were measured."""
