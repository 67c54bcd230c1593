"""The reports of the service: where they are stored, what they say about it, and their commands."""
