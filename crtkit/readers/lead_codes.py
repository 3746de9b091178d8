"""Numbers that stand for leads in SCP-ECG and, with a prefix, in DICOM."""

#: Codes of SCP-ECG ("5.6.3-9-…" in DICOM) and of MDC ("2:…") number the leads alike.
LEAD_NUMBERS = {
    **dict(zip((1, 2, *range(3, 9)), ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6"))),
    **{61: "III", 62: "aVR", 63: "aVL", 64: "aVF"},
    **{9: "V7", 10: "V2R", 11: "V3R", 12: "V4R", 13: "V5R", 14: "V6R", 15: "V7R"},
    **{16: "X", 17: "Y", 18: "Z"},
}


def lead_of_number(number: int) -> str:
    """Name of the lead; ``lead 99`` for a number without one."""
    return LEAD_NUMBERS.get(number, f"lead {number}")
