"""Files of every format that `read_ecg` reads, made of one signal."""

import base64
import binascii
import struct
import zlib

import numpy as np
import pytest

from crtkit.datasets import simulate_ecg

EIGHT = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")
ROWS = [0, 1, *range(6, 12)]
UNIT_UV = 5.0


@pytest.fixture(scope="package")
def counts():
    """Eight leads of a simulated record, in whole steps of 5 microvolt; 3 s at 500 Hz."""
    signal, _ = simulate_ecg("lbbb", 160, duration_s=3, random_state=2)
    return np.round(signal[ROWS] * 1000.0 / UNIT_UV).astype(np.int64)


@pytest.fixture(scope="package")
def make(counts):
    """Bytes of a file of a format; keyword arguments change parts of it."""
    makers = {
        **{"muse": muse, "sierra": sierra, "aecg": aecg, "scp": scp},
        **{"cardiosoft": cardiosoft, "schiller": schiller, "mortara": mortara},
        **{"edf": edf, "ishne": ishne, "csv": csv_table},
    }

    def build(kind, **changes):
        return makers[kind](changes.pop("counts", counts), **changes)

    return build


def muse(counts, *, names=EIGHT, checksum=None, n=None, wave="Rhythm", **changes):
    unit, step = changes.get("unit", "MICROVOLTS"), changes.get("step", "5")
    fs = changes.get("fs", 500)
    leads = ""
    for name, lead in zip(names, counts):
        raw = lead.astype("<i2").tobytes()
        crc = zlib.crc32(raw) if checksum is None else checksum
        leads += (
            f"<LeadData><LeadSampleCountTotal>{len(lead) if n is None else n}"
            f"</LeadSampleCountTotal><LeadAmplitudeUnitsPerBit>{step}</LeadAmplitudeUnitsPerBit>"
            f"<LeadAmplitudeUnits>{unit}</LeadAmplitudeUnits><LeadID>{name}</LeadID>"
            f"<LeadSampleSize>2</LeadSampleSize><LeadDataCRC32>{crc}</LeadDataCRC32>"
            f"<WaveFormData>{base64.b64encode(raw).decode()}</WaveFormData></LeadData>"
        )
    return (
        '<?xml version="1.0" encoding="ISO-8859-1"?><!DOCTYPE RestingECG SYSTEM "restecg.dtd">'
        "<RestingECG><PatientDemographics><PatientID>4711</PatientID>"
        "<PatientLastName>Müller</PatientLastName><PatientAge>63</PatientAge>"
        "<AgeUnits>YEARS</AgeUnits><Gender>FEMALE</Gender></PatientDemographics>"
        "<RestingECGMeasurements><QRSDuration>160</QRSDuration><PRInterval></PRInterval>"
        "</RestingECGMeasurements><Diagnosis><DiagnosisStatement>"
        "<StmtText>Confirmed by Dr. Who</StmtText></DiagnosisStatement></Diagnosis>"
        f"<Waveform><WaveformType>{wave}</WaveformType><SampleBase>{fs}</SampleBase>"
        "<SampleExponent>0</SampleExponent><HighPassFilter>5</HighPassFilter>"
        f"{leads}</Waveform></RestingECG>"
    ).encode("latin-1")


def sierra(counts, *, compression="XLI", duration=None, cut=0, encoding="utf-8", pulse=False):
    """Twelve leads, the limb leads as what they differ by, and a thirteenth for the pulse."""
    one, two = counts[:2]
    three = two - one
    whole = [one, two, three, -((one + two) // 2), (one - three) // 2, (two + three) // 2]
    leads = [*whole, *counts[2:]]
    n = counts.shape[1]
    if pulse:
        step = np.r_[np.zeros(50, int), np.full(100, 200), np.zeros(50, int)]
        leads = [np.r_[lead, step] for lead in leads]
    if compression == "XLI":
        one, two, three, right, left, foot = leads[:6]
        leads[2] = two - one - three
        leads[3] = -right - (one + two) // 2
        leads[4] = (one - three) // 2 - left
        leads[5] = (two + three) // 2 - foot
        raw = b"".join(map(xli_block, leads))
    else:
        raw = np.stack(leads).astype("<i2").tobytes()
    raw = raw[: len(raw) - cut]
    ms = len(leads[0]) * 2 if duration is None else duration
    assert n
    return (
        f'<?xml version="1.0" encoding="{encoding}"?>'
        '<restingecgdata xmlns="http://www3.medical.philips.com">'
        '<dataacquisition date="2020-01-02">'
        "<signalcharacteristics><samplingrate>500</samplingrate><resolution>5</resolution>"
        "</signalcharacteristics></dataacquisition><patient><generalpatientdata>"
        "<patientid>4711</patientid><age><years>63</years></age><sex>Female</sex>"
        "</generalpatientdata></patient><groupmeasurement><meanqrsdur>160</meanqrsdur>"
        f'</groupmeasurement><waveforms><parsedwaveforms compression="{compression}" '
        'leadlabels="I II III aVR aVL aVF V1 V2 V3 V4 V5 V6" '
        f'durationperchannel="{ms}">{base64.b64encode(raw).decode()}</parsedwaveforms>'
        "</waveforms></restingecgdata>"
    ).encode(encoding)


def xli_block(lead):
    """Second differences, high bytes before low bytes, as LZW codes of ten bits."""
    first = 3
    delta = np.empty(len(lead), dtype=np.int64)
    delta[:2] = lead[:2]
    second = np.diff(lead, 2)
    assert second[0] == -first or len(lead) > 2
    first = -int(second[0])
    delta[2:-1] = 64 - second[1:]
    delta[-1] = 64
    stored = delta.astype(np.int16).astype(np.uint16)
    codes = lzw(
        (stored >> 8).astype(np.uint8).tobytes() + (stored & 255).astype(np.uint8).tobytes()
    )
    bits = "".join(f"{code:010b}" for code in codes)
    bits += "0" * (-len(bits) % 8)
    block = int(bits, 2).to_bytes(len(bits) // 8, "big")
    return struct.pack("<IHh", len(block), 1, first) + block


def lzw(data):
    table = {bytes([i]): i for i in range(256)}
    codes, word = [], b""
    for byte in data:
        longer = word + bytes([byte])
        if longer in table:
            word = longer
            continue
        codes.append(table[word])
        if len(table) < 1024:
            table[longer] = len(table)
        word = bytes([byte])
    return [*codes, table[word]]


def aecg(counts, *, names=EIGHT, increment="0.002", digits=None, code="RHYTHM", **changes):
    unit, step = changes.get("unit", "uV"), changes.get("step", "5")
    components = (
        '<component><sequence><code code="TIME_RELATIVE"/><value><head value="0"/>'
        f'<increment value="{increment}" unit="s"/></value></sequence></component>'
    )
    for name, lead in zip(names, counts):
        listed = " ".join(map(str, lead)) if digits is None else digits
        components += (
            f'<component><sequence><code code="MDC_ECG_LEAD_{name.upper()}"/><value>'
            f'<origin value="0" unit="{unit}"/><scale value="{step}" unit="{unit}"/>'
            f"<digits>{listed}</digits></value></sequence></component>"
        )
    beats = "".join(
        f'<annotation><code code="MDC_ECG_TIME_PD_QRS"/><value value="{v}" unit="ms"/></annotation>'
        for v in (158, 160, 170)
    )
    return (
        '<?xml version="1.0"?><AnnotatedECG xmlns="urn:hl7-org:v3"><trialSubject>'
        '<id extension="4711"/><subjectDemographicPerson><name>Clark</name>'
        '<administrativeGenderCode code="F"/></subjectDemographicPerson></trialSubject>'
        f'<component><series><code code="{code}"/><component><sequenceSet>{components}'
        f"</sequenceSet></component>{beats}</series></component></AnnotatedECG>"
    ).encode()


def scp(counts, *, order=2, table=True, own_table=False, subtracted=False, n=None, **changes):
    """``subtracted`` takes a beat of 200 samples off at three places; ``first`` numbers samples."""
    damage, first = changes.get("damage"), changes.get("first", 1)
    names, nanovolt = changes.get("names", EIGHT), changes.get("nanovolt", 5000)
    micros = changes.get("micros", 2000)
    beat_sections = {}
    rhythm_counts = counts
    if subtracted:
        rhythm_counts, beat_sections = scp_subtracted(counts, order, table)
    blocks = [scp_block(lead, order, table) for lead in rhythm_counts]
    codes = {"I": 1, "II": 2, "III": 61, "aVR": 62, "aVL": 63, "aVF": 64}
    numbers = [codes.get(name) or int(name[1]) + 2 for name in names]
    total = counts.shape[1] if n is None else n
    leads = bytes([len(counts), 68 | subtracted]) + b"".join(
        struct.pack("<IIB", first, total, number) for number in numbers
    )
    rhythm = struct.pack("<HHBB", nanovolt, micros, order, 0)
    rhythm += struct.pack(f"<{len(blocks)}H", *map(len, blocks)) + b"".join(blocks)
    person = b"".join(
        struct.pack("<BH", tag, len(value)) + value
        for tag, value in (
            (0, b"Clark\0"),
            (2, b"4711\0"),
            (4, struct.pack("<HB", 63, 1)),
            (8, changes.get("sex", b"\2")),
            (255, b""),
        )
    )
    beat = struct.pack("<BBHH5H3h", 1, 0, 800, 29999, 100, 200, 260, 420, 700, 0, -20, 90)
    sections = {1: person, 3: leads, 6: rhythm, 7: beat, **beat_sections}
    if table:
        sections[2] = own_scp_table() if own_table else struct.pack("<H", 19999)
    whole, pointers, at = b"", b"", 7 + 16 + 120
    for number in range(12):
        content = sections.get(number)
        if content is None:
            pointers += struct.pack("<HII", number, 0, 0)
            continue
        made = section(number, content)
        pointers += struct.pack("<HII", number, len(made), at)
        whole += made
        at += len(made)
    body = section(0, pointers, b"SCPECG") + whole
    body = struct.pack("<I", len(body) + 6) + body
    out = struct.pack("<H", binascii.crc_hqx(body, 0xFFFF)) + body
    if damage is not None:
        out = out[:damage] + bytes([out[damage] ^ 255]) + out[damage + 1 :]
    return out


def scp_subtracted(counts, order, table, places=(120, 600, 1100), n_beat=200, fiducial=80):
    """The rhythm less a beat at three complexes, and sections 4 and 5 that say so."""
    shape = np.hanning(n_beat) * 100
    beats = [np.round(shape * (k + 1)).astype(np.int64) for k in range(len(counts))]
    rhythm = counts.copy()
    complexes = b""
    for number, middle in enumerate(places):
        kind = 1 if number == 2 else 0  # another kind of beat: nothing was subtracted there
        first, last = middle - 50, middle + 70
        complexes += struct.pack("<HIII", kind, first, middle, last)
        for sample in range(first, last + 1):  # as the standard words it, sample by sample
            if kind == 0:
                for lead, beat in zip(rhythm, beats):
                    lead[sample - 1] -= beat[fiducial + sample - middle - 1]
    four = struct.pack("<HHH", n_beat * 2, fiducial, len(places)) + complexes
    blocks = [scp_block(beat, order, table) for beat in beats]
    five = struct.pack("<HHBB", 5000, 2000, order, 0)
    five += struct.pack(f"<{len(blocks)}H", *map(len, blocks)) + b"".join(blocks)
    return rhythm, {4: four, 5: five}


def own_scp_table():
    """The standard's own code, written out as a table of the file."""
    rows = [(1, 1, 0, "0")]
    for value in range(1, 9):
        rows.append((value + 2, value + 2, value, "1" * value + "00"))
        rows.append((value + 2, value + 2, -value, "1" * value + "01"))
    rows += [(10, 18, 0, "1" * 9 + "0"), (10, 26, 0, "1" * 10)]
    out = struct.pack("<HH", 1, len(rows))
    for prefix, bits, base, code in rows:
        out += struct.pack("<BBBhI", prefix, bits, 1, base, int(code[::-1], 2))
    return out


def section(number, content, label=bytes(6)):
    content += b"\0" * (len(content) % 2)
    body = struct.pack("<HIBB", number, len(content) + 16, 20, 20) + label + content
    return struct.pack("<H", binascii.crc_hqx(body, 0xFFFF)) + body


def scp_block(lead, order, table):
    values = lead if not order else np.r_[lead[:order], np.diff(lead, order)]
    if not table:
        return values.astype("<i2").tobytes()
    bits = "".join(map(scp_code, values.tolist()))
    bits += "1" * (-len(bits) % 16)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def scp_code(value):
    if not value:
        return "0"
    if abs(value) <= 8:
        return "1" * abs(value) + "0" + ("1" if value < 0 else "0")
    if -128 <= value < 128:
        return "1111111110" + f"{value & 255:08b}"
    return "1111111111" + f"{value & 65535:016b}"


def cardiosoft(counts, *, names=EIGHT, step="5", fs="500", n=None):
    waves = "".join(
        f'<WaveformData lead="{name}">{",".join(map(str, lead))}</WaveformData>'
        for name, lead in zip(names, counts)
    )
    total = counts.shape[1] if n is None else n
    return (
        '<?xml version="1.0" encoding="ISO-8859-1"?><CardiologyXML>'
        "<ObservationDateTime><Day>2</Day><Month>1</Month><Year>2020</Year></ObservationDateTime>"
        "<PatientInfo><PID>4711</PID><Name><FamilyName>Müller</FamilyName></Name>"
        '<Age units="Years">63</Age><Gender>FEMALE</Gender></PatientInfo>'
        "<Interpretation><Diagnosis><DiagnosisText>Dr. Who</DiagnosisText></Diagnosis>"
        "</Interpretation><RestingECGMeasurements>"
        '<QRSDuration units="ms">160</QRSDuration><PQInterval units="ms">0</PQInterval>'
        '<MedianSamples><SampleRate units="Hz">500</SampleRate></MedianSamples>'
        f"</RestingECGMeasurements><StripData><NumberOfLeads>{len(counts)}</NumberOfLeads>"
        f'<SampleRate units="Hz">{fs}</SampleRate><ChannelSampleCountTotal>{total}'
        f'</ChannelSampleCountTotal><Resolution units="uVperLsb">{step}</Resolution>'
        f"{waves}</StripData></CardiologyXML>"
    ).encode("latin-1")


def schiller(counts, *, names=EIGHT, step="5", unit="UV", fs="500", n=None):
    def wave(kind, counts):
        total = counts.shape[1] if n is None else n
        channels = "".join(
            f"<channel><name>{name}</name><data>{','.join(map(str, lead))},</data>"
            f"<datastype>COMMASEPARATE</datastype><samplecount>{total}</samplecount></channel>"
            for name, lead in zip(names, counts)
        )
        return (
            f"<wavedata><type>{kind}</type><resolution><samplerate><exponent>1</exponent><value>{fs}"
            f"</value></samplerate><yres><unitperbit>{step}</unitperbit><units>{unit}</units></yres>"
            f"</resolution>{channels}</wavedata>"
        )

    notes = "".join(
        f"<annotation_global><name>{k}</name><value>{v}</value></annotation_global>"
        for k, v in (("HR", 75), ("QRS", 160), ("PQ", 0), ("AXIS_QRS", 0), ("BP_S", "-"))
    )
    return (
        '<?xml version="1.0"?><com.xiriuz.sema.xml.schillerEDI.SchillerEDI><patdata><id>4711</id>'
        "<lastname>Clark</lastname><birthdate>20200102</birthdate><gender>FEMALE</gender></patdata>"
        f"<eventdata><event>{wave('ECG_AVERAGES', counts[:, :300])}{wave('ECG_RHYTHMS', counts)}"
        f"{notes}</event></eventdata></com.xiriuz.sema.xml.schillerEDI.SchillerEDI>"
    ).encode()


def mortara(counts, *, names=EIGHT, per_mv="200", fs="500", duration=None, bits="16"):
    ms = counts.shape[1] / float(fs) * 1000 if duration is None else duration
    channels = "".join(
        f'<CHANNEL OFFSET="0" BITS="{bits}" FORMAT="SIGNED" UNITS_PER_MV="{per_mv}" '
        f'DURATION="{ms:g}" SAMPLE_FREQ="{fs}" NAME="{name}" ENCODING="BASE64" '
        f'DATA="{base64.b64encode(lead.astype("<i2").tobytes()).decode()}"/>'
        for name, lead in zip(names, counts)
    )
    return (
        '<?xml version="1.0"?><ECG ACQUISITION_TIME="20200102" VENT_RATE="75"><SUBJECT '
        'ID="4711" LAST_NAME="Clark" AGE="63" AGE_UNITS="YEARS" GENDER="FEMALE"/>'
        f'{channels}<TYPICAL_CYCLE SAMPLE_FREQ="1000"/></ECG>'
    ).encode()


def edf(counts, *, names=EIGHT, fs=500, step=5.0, offset=0.0, unit="uV", kind="", **changes):
    """One data record a second; ``step`` and ``offset`` are in ``unit``."""
    n_records = -(-counts.shape[1] // fs)
    padded = np.pad(counts, ((0, 0), (0, n_records * fs - counts.shape[1])))
    low, high = -(2**15), 2**15 - 1
    labels = [f"ECG {name}" for name in names]
    ranges = (low * step + offset, high * step + offset, low, high)
    columns = [
        [f"{label:16.16s}" for label in labels],
        [" " * 80] * len(labels),
        [f"{unit:8s}"] * len(labels),
        *([f"{value:<8.7g}"[:8]] * len(labels) for value in ranges),
        [" " * 80] * len(labels),
        [f"{fs:<8d}"] * len(labels),
        [" " * 32] * len(labels),
    ]
    head = f"{'0':8s}{'4711 F 02-JAN-1950 Clark':80s}{'Startdate 02-JAN-2020 Dr. Who':80s}"
    head += f"02.01.2000.00.00{256 * (1 + len(labels)):<8d}{kind:44s}"
    head += f"{changes.get('n', n_records):<8d}{changes.get('seconds', 1):<8d}{len(labels):<4d}"
    records = padded.reshape(len(counts), n_records, fs).transpose(1, 0, 2)
    return (head + "".join(sum(columns, []))).encode("latin-1") + records.astype("<i2").tobytes()


def ishne(counts, *, names=EIGHT, fs=500, nanovolt=5000, n=None):
    codes = {"I": 5, "II": 6, **{f"V{i}": 10 + i for i in range(1, 7)}, "III": 7, "aVR": 8}
    codes |= {"aVL": 9, "aVF": 10}

    def twelve(values):
        return struct.pack("<12h", *[*values, *[-9] * 12][:12])

    total = counts.shape[1] if n is None else n
    head = struct.pack("<4ih", 4, total, 522, 526, 1)
    head += struct.pack("<40s40s20shh", b"Ann", b"Clark", b"4711", 2, 0)
    head += struct.pack("<12h", 2, 1, 1950, 2, 1, 2020, 2, 1, 2020, 0, 0, 0)
    head += struct.pack("<h", len(counts)) + twelve([codes[name] for name in names])
    head += twelve([0] * len(counts)) + twelve([nanovolt] * len(counts))
    head += struct.pack("<h40sh80s80s88s", 0, b"recorder", fs, b"", b"", b"")
    head += b"text"
    checksum = struct.pack("<H", binascii.crc_hqx(head, 0xFFFF))
    return b"ISHNE1.0" + checksum + head + counts.T.astype("<i2").tobytes()


def csv_table(counts, *, names=EIGHT, fs=500, step=5e-3, separator=",", decimal=".", unit="mV"):
    lines = [f"# fs: {fs}", f"# unit: {unit}", separator.join(names)]
    for row in counts.T:
        lines.append(separator.join(repr(float(v * step)).replace(".", decimal) for v in row))
    return "\n".join(lines).encode()
