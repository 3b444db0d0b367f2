"""Encrypted objects (security.md section 3) and the durable stores that hold them."""
