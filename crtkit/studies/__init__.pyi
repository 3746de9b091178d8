from . import mori2025 as mori2025
