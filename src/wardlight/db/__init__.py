"""Engine, transactions and schema of the index database."""
