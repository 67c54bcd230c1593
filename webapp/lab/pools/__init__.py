"""Types of pools beside each other."""
