"""Every table of the index database: the schema is what this module imports."""

import wardlight.access.tables
import wardlight.agreements.tables
import wardlight.archive.deletion_tables
import wardlight.archive.handover_tables
import wardlight.archive.machine_tables
import wardlight.archive.quarantine_tables
import wardlight.archive.share_tables
import wardlight.archive.tables
import wardlight.archive.upload_tables
import wardlight.audit.tables
import wardlight.events.tables
import wardlight.identity.application_tables
import wardlight.identity.federation_tables
import wardlight.identity.oidc_tables
import wardlight.identity.people_tables
import wardlight.identity.rates_tables
import wardlight.identity.tables
import wardlight.notifications.tables
import wardlight.trail.application_tables  # noqa: F401
