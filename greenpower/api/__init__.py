"""The REST API: one module a resource. Uses store and models; imported by binding and app."""
