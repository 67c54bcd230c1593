"""What test_pool_model drives: threads that run one at a time, a server that fails when told to, and the rules."""
