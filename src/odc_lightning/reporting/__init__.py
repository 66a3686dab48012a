"""What is drawn and written for people: figures, tables and pages for a browser."""
