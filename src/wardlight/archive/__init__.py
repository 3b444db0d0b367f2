"""Releases, segments and their index: the only way to image objects."""
