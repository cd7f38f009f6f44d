"""What stands on the log: types, ids, hashes, and the codec between JSON lines and columns."""
