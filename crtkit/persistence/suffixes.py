"""Suffixes by which a file is told: apart, so that a command asks for them without pandas."""

TABLES = {".csv", ".tsv", ".txt", ".xlsx", ".parquet"}
PAGES = {".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp", ".pdf", ".heic"}
