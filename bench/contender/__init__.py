"""What runs in the processes that are measured: the same work on samples, done in different ways."""
