from array import array

def scan(
    data: bytes | memoryview,
    begin: int,
    stop: int,
    classes: bytes,
    table: array[int],
    outputs: array[int],
    width: int,
) -> list[tuple[int, int, int]]: ...
