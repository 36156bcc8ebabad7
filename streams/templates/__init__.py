"""The settings file that `leadstream init` writes."""
