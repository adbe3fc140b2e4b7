"""Tests of logins, tokens and users."""
