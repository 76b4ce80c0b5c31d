"""Outbox rows in DynamoDB whose SNS publish failed, or never happened, are published with backoff."""
