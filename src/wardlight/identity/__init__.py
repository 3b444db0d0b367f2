"""Institutions, people, receivers and their tokens."""
