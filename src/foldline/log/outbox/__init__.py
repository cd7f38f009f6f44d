"""A log in front of a cluster that may be away: what is appended meanwhile is kept in a file, and sent later."""
