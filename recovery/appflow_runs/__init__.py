"""AppFlow runs that failed: run again with backoff, bounded and never doubled, or a person is told why not."""
