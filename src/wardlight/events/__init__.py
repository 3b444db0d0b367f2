"""Outbox: events are rows, written with what they tell of."""
