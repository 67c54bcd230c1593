"""Security headers, and the checks of a request's origin and listener."""
