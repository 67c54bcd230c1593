"""`poolproof lab push`: many people play one quiz at once, and what was acknowledged is read back."""
