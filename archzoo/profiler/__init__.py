"""What any module costs: parameters, multiply-adds, receptive fields and memory, part by part. Knows no model."""

from archzoo.errors import ProfileError
from archzoo.profiler.comparing import Comparison, Difference, compare, compare_shapes, shapes_in
from archzoo.profiler.conventions import CONVENTIONS, Convention
from archzoo.profiler.counting import profile
from archzoo.profiler.intervals import ReceptiveField
from archzoo.profiler.operators import Work
from archzoo.profiler.profiles import Profile
from archzoo.profiler.rows import Row
from archzoo.profiler.storages import Memory, MemoryRow, Moment, memory

__all__ = [
    "CONVENTIONS",
    "Comparison",
    "Convention",
    "Difference",
    "Memory",
    "MemoryRow",
    "Moment",
    "Profile",
    "ProfileError",
    "ReceptiveField",
    "Row",
    "Work",
    "compare",
    "compare_shapes",
    "memory",
    "profile",
    "shapes_in",
]
