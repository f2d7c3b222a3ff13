"""What is wrong with a data set: every video decoded to its end (`examine`), and what follows from that for the lists (`findings`)."""
