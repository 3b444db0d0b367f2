"""JSON handlers of identity, agreements, access, deletion and delivery: a thin edge, as `dicomweb` is for images."""
