"""`python -m webapp` is `poolproof`."""

from webapp.cli import main

main()
