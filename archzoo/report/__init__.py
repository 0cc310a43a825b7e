"""What the audit and the profiler found, for people to read. Counts nothing itself."""
