"""The studio: points and draws of a draft."""
