"""Principals, decisions and the `Scope` that every read requires."""
