"""Wardlight: a self-hosted imaging data platform with privacy by design."""

__version__ = "0.1.0"
