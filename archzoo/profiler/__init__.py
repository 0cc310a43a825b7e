"""The cost of any module: parameters, multiply-adds, receptive fields and memory, part by part. Knows no model."""

from archzoo.errors import ProfileError
from archzoo.profiler._active_share import active_share, skips_modules
from archzoo.profiler._comparing import Comparison, Difference, compare, compare_shapes, shapes_in
from archzoo.profiler._conventions import CONVENTIONS, Convention
from archzoo.profiler._counting import profile
from archzoo.profiler._coverage import Coverage
from archzoo.profiler._fitting import Fit, Need, Saving, fits
from archzoo.profiler._intervals import ReceptiveField
from archzoo.profiler._measuring import measure
from archzoo.profiler._memory_passes import scalar_loss
from archzoo.profiler._memory_profile import OPTIMIZERS, MemoryProfile, memory
from archzoo.profiler._memory_tracker import MemorySample, ModuleMemory, storage_bytes
from archzoo.profiler._module_stats import ModuleStats
from archzoo.profiler._peaks import Peak
from archzoo.profiler._profiles import Profile
from archzoo.profiler._programs import Program, read_program
from archzoo.profiler._rendering import COLUMNS, DEFAULT_COLUMNS, TEXT_COLUMNS, table
from archzoo.profiler._traffic import Machine, ModuleTraffic, OperatorTraffic, Traffic, traffic
from archzoo.profiler._work import Work

__all__ = [
    "COLUMNS",
    "CONVENTIONS",
    "DEFAULT_COLUMNS",
    "OPTIMIZERS",
    "TEXT_COLUMNS",
    "Comparison",
    "Convention",
    "Coverage",
    "Difference",
    "Fit",
    "Machine",
    "MemoryProfile",
    "MemorySample",
    "ModuleMemory",
    "ModuleStats",
    "ModuleTraffic",
    "Need",
    "OperatorTraffic",
    "Peak",
    "Profile",
    "ProfileError",
    "Program",
    "ReceptiveField",
    "Saving",
    "Traffic",
    "Work",
    "active_share",
    "compare",
    "compare_shapes",
    "fits",
    "measure",
    "memory",
    "profile",
    "read_program",
    "scalar_loss",
    "shapes_in",
    "skips_modules",
    "storage_bytes",
    "table",
    "traffic",
]
