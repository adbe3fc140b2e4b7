"""Other people's tools: what the documentation and docker/ give to them, done as they do it, against the API."""
