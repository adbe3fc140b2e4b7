"""What is in `docker/`: that its files fit the settings, and nginx with its configuration."""
