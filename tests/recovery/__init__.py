"""How soon a failure is shown and how soon all is normal again, at default settings."""
