"""Question formats, one module for each; all yield the same records."""
