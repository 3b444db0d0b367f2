"""DICOM on bytes: elements, Part 10, DICOM JSON, multipart/related, DIMSE. Pure: no I/O, nothing of the rest."""
