"""Speed and accuracy, each with one command and the table that it last gave (``benchmarks/results``)."""
