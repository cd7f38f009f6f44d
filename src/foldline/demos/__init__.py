"""The shipped demos, one readable file each."""
