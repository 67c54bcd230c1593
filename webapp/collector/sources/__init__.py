"""One module per kind of source; `protocol` says what the engine and a source expect of each other."""
