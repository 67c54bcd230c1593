"""Pool sizes are measured in a sweep, fitted by the scalability law, and one is recommended."""
