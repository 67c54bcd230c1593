"""HTTP manners that all features share."""
