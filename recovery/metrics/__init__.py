"""Numbers about recovery for CloudWatch: what is counted, which series it goes into, and how it is published."""
