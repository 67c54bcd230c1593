"""How many connections there may be: the budget, and what the server says."""
