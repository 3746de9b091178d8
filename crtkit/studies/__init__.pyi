from . import he2023 as he2023, mori2025 as mori2025
