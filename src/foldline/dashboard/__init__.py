"""Pages to look at: one file a page, rendered on the server from what stands on the log."""
