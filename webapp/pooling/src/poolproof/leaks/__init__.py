"""Which request holds which connection, and what is wrong with how it does."""
