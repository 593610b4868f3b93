"""Build the guests, push them, run them, and parse what they say into views."""
