"""Reading the audit trail: search, exports, mappings, reports, witnesses (audit.md sections 4 to 7)."""
