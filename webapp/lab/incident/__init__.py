"""The same push at the documented defaults and at this service."""
