"""Python client for partner applications: wait for studies, read them, store results. Stands alone."""
