"""What any module costs: parameters and multiply-adds, part by part. Knows no model."""

from archzoo.profiler.counting import Profile, ProfileError, Row, profile

__all__ = ["Profile", "ProfileError", "Row", "profile"]
