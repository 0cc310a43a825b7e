"""The cost of any module: parameters, multiply-adds, receptive fields and memory, part by part. Knows no model."""

from archzoo.errors import ProfileError
from archzoo.profiler.comparing import Comparison, Difference, compare, compare_shapes, shapes_in
from archzoo.profiler.conventions import CONVENTIONS, Convention
from archzoo.profiler.counting import profile
from archzoo.profiler.intervals import ReceptiveField
from archzoo.profiler.memory_profile import MemoryProfile, memory
from archzoo.profiler.memory_tracker import MemorySample, ModuleMemory
from archzoo.profiler.module_stats import ModuleStats
from archzoo.profiler.profiles import Profile
from archzoo.profiler.rendering import COLUMNS, DEFAULT_COLUMNS
from archzoo.profiler.work import Work

__all__ = [
    "COLUMNS",
    "CONVENTIONS",
    "DEFAULT_COLUMNS",
    "Comparison",
    "Convention",
    "Difference",
    "MemoryProfile",
    "MemorySample",
    "ModuleMemory",
    "ModuleStats",
    "Profile",
    "ProfileError",
    "ReceptiveField",
    "Work",
    "compare",
    "compare_shapes",
    "memory",
    "profile",
    "shapes_in",
]
