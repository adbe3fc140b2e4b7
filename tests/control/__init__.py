"""Commands to devices, from the API over a real broker to a meter and back."""
