"""Decoding, transcoding and rendering of images in sandboxed processes (security.md section 8)."""
