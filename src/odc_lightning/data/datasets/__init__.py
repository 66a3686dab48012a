"""One file for each data set or kind of data set."""
