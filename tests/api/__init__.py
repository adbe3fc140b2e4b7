"""The REST API, asked as a client asks it: `meter` is a data type of the tests' own, `world` users, roles and SQL."""
