"""The on-premises gateway: DICOM node, spool, de-identification, upload."""
