"""What every resource uses: authentication, errors, pages, rate limits, JSON and the server."""
