"""What each paper says. One file for each paper; imports no torch."""
