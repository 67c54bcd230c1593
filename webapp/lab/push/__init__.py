"""One push and what it found."""
