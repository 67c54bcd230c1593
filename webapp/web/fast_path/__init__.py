"""Routes that are answered before Flask, for the requests of a push."""
