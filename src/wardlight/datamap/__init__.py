"""The data map and the record of processing activities, made from what is declared, agreed and held (R1.2)."""
