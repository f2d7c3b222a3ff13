"""What the families are built from."""
