"""What is known about each database driver."""
