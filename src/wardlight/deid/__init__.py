"""De-identification: the part an auditor reads. Pure; uses `dicom` only."""
