"""Scoring models that ship with the product."""

from importlib import resources

SHIPPED_MODELS = ("minimal", "reference", "site")


def load_shipped(name: str) -> str:
    """The text of a shipped model.

    Raises:
        KeyError: there is none of that name.
    """
    if name not in SHIPPED_MODELS:
        raise KeyError(f'no shipped model "{name}"; there are {", ".join(SHIPPED_MODELS)}')
    return resources.files(__name__).joinpath(f"{name}.yaml").read_text("utf-8")
