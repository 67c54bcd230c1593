"""SQL that all features share: column types, upserts, LOAD DATA, time."""
