"""DICOMweb (PS3.18): a thin protocol edge over ingest and archive."""
