"""One module for each kind of source; `base` defines the interface between the run executor and a source."""
