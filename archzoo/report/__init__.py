"""Tables, figures, diagrams and an HTML page, from the audit and the profiler. Counts nothing itself."""
