"""What people are told: definitions, preferences, the bell and mail (R9.2)."""
