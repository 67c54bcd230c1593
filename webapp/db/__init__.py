"""SQL that all features share: column types, pages of lists, upserts, LOAD DATA, the database's clock."""
