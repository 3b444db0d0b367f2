"""DICOM network protocol without I/O: PDUs (PS3.8 section 9.3), state machine (9.2), DIMSE messages (PS3.7)."""
