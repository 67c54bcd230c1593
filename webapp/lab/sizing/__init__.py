"""Which pool size is right: measured, fitted, recommended."""
