"""DMS replication tasks and serverless replications: restarted the right way, or a person is notified why not."""
