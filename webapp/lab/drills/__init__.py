"""The drills, one module for each family of faults; `catalogue` has them all."""
