"""Tables generated from PS3.15 Annex E by tools/generate_standard.py. Do not edit by hand."""
