"""Which files are the images: the search in folders, and lists that people and programs write."""
