"""The relay: from what happens in AWS to Prefect events on which deployments trigger. `reprise relay`."""
