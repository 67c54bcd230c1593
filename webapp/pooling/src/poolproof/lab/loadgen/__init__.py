"""What loads a running service over HTTP: load profiles and a client."""
