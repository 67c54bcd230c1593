"""What is specific to each database driver."""
