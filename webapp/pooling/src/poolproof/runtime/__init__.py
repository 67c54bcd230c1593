"""What threads and forks need, independent of databases."""
