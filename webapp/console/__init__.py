"""For operators: the state of the deployment, what is wrong with it, and actions."""
