"""Pages to signals: ``python -m benchmarks.digitizer [--sets NAMES] [--n N] [--minutes M]``.

Rule
----
Real records (PTB-XL, one a patient, 0.5-40 Hz unless "wide") are rendered, spoiled on one dial or
several, and read; LUDB pages (drawn by another program) are read beside their own signals and
beside what ECG-Miner read from them; PTB-XL vector PDFs beside their records; EDAN report pages
and photographs have no signals, and are checked by what they must obey. Three figures:

- strict: signal-to-noise ratio in dB as it comes, no alignment, no offset removed;
- aligned: after the best shift of at most 20 ms, means removed (what the 2024 PhysioNet Challenge
  scores, with other limits);
- coverage: share of the printed samples that came out.

Each lead counts once. Samples that the renderer cut at the edge of the grid are left out. The PDFs
print a mean of five samples at 125 Hz, 8 ms late: "printed" compares with that, the other figures
with the record. "QRS" measures digitised pages of PTB-XL records beside the records themselves;
"degraded" are pages spoiled at random, read with and without the limit of confidence; a gap counts
there as 0 mV, for a page without its QRS complexes is none.

A set goes on where it was interrupted, page by page, unless the code of the digitizer changed.
The table of confidence is fitted by ``python -m benchmarks.digitizer.confidence``, what erasing
leaves readable is in ``python -m benchmarks.digitizer.erasing``.

Goals
-----
Issue 16: strict >= 24 dB at 200 dpi (5th percentile 18), >= 20 at 127 dpi, >= 29 at 300; every
layout, speed and gain within 3 dB of that; real pages >= 99 % read, repeat >= 26 dB. All goals are
in ``tables.GOALS``, and are written beside the figures.

Non-goals
---------
Pages in other lead orders (Cabrera), pages with two gains, and photographs without a grid.
"""
