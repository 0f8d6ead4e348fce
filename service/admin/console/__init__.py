"""The console: a page for operators at /console, and the way from it to the public port."""
