"""What is done with a trained network: predict, extract features, explain, export."""
