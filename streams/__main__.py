"""`python -m streams` is the command `leadstream`."""

from streams.cli import main

main()
