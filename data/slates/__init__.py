"""Users who are shown slates of items, and buy some of them."""
