"""The realtime gateway as a process, with real clients and a real Redis."""
