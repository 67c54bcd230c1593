"""Writing items where they are needed: in a quiz."""
