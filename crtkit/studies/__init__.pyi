from . import he2021 as he2021, he2023 as he2023, lvsd2026 as lvsd2026, mori2025 as mori2025
