"""What is kept of each request: histograms, counts, rows."""
