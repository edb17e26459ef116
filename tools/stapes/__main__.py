"""`python -m stapes`."""

from stapes.cli import main

main()
