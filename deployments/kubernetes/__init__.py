"""Everything that speaks to the API server of Kubernetes; nothing else imports its client."""
