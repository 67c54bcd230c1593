"""The pages on which authors change many items at once."""
