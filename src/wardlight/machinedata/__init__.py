"""Machine data (R6.8): log files, status and processing details, configuration of receivers, devices, applications."""
