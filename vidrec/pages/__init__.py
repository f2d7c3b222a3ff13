"""Self-contained HTML pages; they show without a network."""
