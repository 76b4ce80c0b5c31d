"""AppFlow runs that failed: run again with backoff, bounded and never doubled, or a person gets the reason."""
