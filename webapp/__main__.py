"""`python -m webapp` is `poolproof`."""

from webapp.app import main

main()
