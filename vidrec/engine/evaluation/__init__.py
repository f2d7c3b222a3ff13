"""What a test says beyond its accuracies, and the files that it leaves; docs/evaluation.md describes them."""
