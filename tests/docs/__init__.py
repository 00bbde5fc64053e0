"""The pages of docs/ as programs."""
