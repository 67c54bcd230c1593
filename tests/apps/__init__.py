"""Applications as others write them, each with the stock pool and with the lines that its page in docs/ names."""
