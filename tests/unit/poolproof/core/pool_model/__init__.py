"""What test_pool_model drives: threads that run one at a time, a server that fails where it is told to, and the rules."""
