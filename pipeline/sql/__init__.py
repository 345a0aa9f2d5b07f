"""SQL that is run as files, and shipped inside the package."""

from importlib.resources import files


def read_sql(name: str) -> str:
    """The text of one of the `.sql` files beside this one."""
    return (files(__name__) / name).read_text(encoding="utf-8")
