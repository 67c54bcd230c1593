"""Load on a running service and its collector, shared by the lab, the tests and the benches."""
