"""The audit recorder: one insert in the transaction of what it records."""
