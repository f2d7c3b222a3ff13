"""One module per command: `main(argv)` parses, checks and composes a run from top to bottom."""
