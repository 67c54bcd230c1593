"""Reports as one HTML page and one JSON file, their plots and comparison. Loads without matplotlib."""
