"""`poolproof lab size`: sizes of the whole service are measured in a sweep of `poolproof.lab.sizing`."""
