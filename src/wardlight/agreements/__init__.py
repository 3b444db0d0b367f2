"""Legal basis, purposes and privacy levels an institution agreed to."""
