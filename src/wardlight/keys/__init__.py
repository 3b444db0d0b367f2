"""Keys: keystore, keyslots, envelope encryption, key derivation, KMS ports (security.md section 2)."""
