from . import he2021 as he2021, he2023 as he2023, mori2025 as mori2025
