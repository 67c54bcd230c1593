"""The lab: loads the service as many people would, and measures. Never on the serving path."""
