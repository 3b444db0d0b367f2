"""The data classes of requirement R1.1 and their handling rules."""
