"""The host's side of a Python guest's build: gathers files, runs componentize-py, tells a person what went wrong."""
