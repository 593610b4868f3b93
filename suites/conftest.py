"""What is too long for any push runs only when it is asked for by its marker's name."""


def pytest_collection_modifyitems(config, items):
    """Leave the tests of ``matrix`` out, whatever else -m selects, unless its expression names them."""
    if "matrix" in config.getoption("markexpr"):
        return
    left_out = [item for item in items if item.get_closest_marker("matrix")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
