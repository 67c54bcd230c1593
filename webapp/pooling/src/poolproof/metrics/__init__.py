"""What a process counts and records, and how it is written out."""
