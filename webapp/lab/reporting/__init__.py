"""Reports as one HTML page and one JSON file, their plots, comparison and commands. Loads without matplotlib."""
