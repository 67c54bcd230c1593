"""What the lab, the tests and the benches start: database servers, Poolproof, other services, stand-in sources."""
