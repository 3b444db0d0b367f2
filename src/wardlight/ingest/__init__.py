"""Platform-side intake of DICOM objects: check, then archive."""
