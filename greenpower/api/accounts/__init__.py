"""Accounts: logins, tokens, users and API keys."""
