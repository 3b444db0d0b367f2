"""What applications are told: an ordered feed and signed webhooks (R9.1)."""
