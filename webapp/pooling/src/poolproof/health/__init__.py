"""Whether connections are alive, how old they may become, and the thread that maintains them."""
