"""``python -m archzoo`` is the command line."""

from archzoo.cli import main

main()
