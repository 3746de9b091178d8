"""The HTML of a report: readable on a phone, printed on A4, read aloud."""

TEMPLATE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title>
<style>
:root { --ink: #1a1a1a; --quiet: #555; --rule: #bbb; --accent: #0072B2; }
* { box-sizing: border-box; }
body { font: 16px/1.55 Georgia, "Times New Roman", serif; color: var(--ink); background: #fff;
  max-width: 52rem; margin: 0 auto; padding: 1.2rem 1rem 3rem; }
h1, h2, h3, table, figcaption, summary, .note, nav, .banner {
  font-family: "Helvetica Neue", Arial, sans-serif; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0.4em 0; }
h2 { font-size: 1.15rem; margin: 2.2em 0 0.5em; border-bottom: 2px solid var(--accent);
  padding-bottom: 0.15em; }
h3 { font-size: 0.95rem; margin: 1.4em 0 0.2em; }
.note { color: var(--quiet); font-size: 0.85rem; margin: 0.2em 0 0.6em; }
.banner { background: #7a1f00; color: #fff; font-weight: bold; padding: 0.5em 1em;
  letter-spacing: 0.04em; }
.banner small { display: block; font-weight: normal; letter-spacing: 0; }
.warnings { border-left: 4px solid #D55E00; margin: 0.8em 0; padding: 0.2em 0.6em 0.2em 1.8em;
  font-size: 0.9rem; }
nav { font-size: 0.85rem; margin: 1em 0; }
nav a { color: var(--accent); margin-right: 1em; white-space: nowrap; }
.wide { overflow-x: auto; margin: 0 0 0.8em; }
table { border-collapse: collapse; font-size: 0.82rem; line-height: 1.3; min-width: 60%;
  border-top: 1.5px solid var(--ink); border-bottom: 1.5px solid var(--ink); }
caption { text-align: left; font-weight: bold; font-size: 0.9rem; padding: 0.6em 0 0.4em; }
caption .sim { color: #7a1f00; }
thead th { border-bottom: 1px solid var(--ink); vertical-align: bottom; }
th, td { padding: 0.28em 0.9em 0.28em 0; text-align: right; vertical-align: top; }
th[scope=row], thead th:first-child { text-align: left; font-weight: normal; }
thead th { font-weight: bold; }
td.word, th.word { text-align: left; }
.tiny { color: var(--quiet); font: 0.72rem/1.4 "Helvetica Neue", Arial, sans-serif;
  margin: 0 0 1.2em; text-align: left; }
td small { display: block; color: var(--quiet); font-size: 0.88em; white-space: nowrap; }
td { white-space: nowrap; }
tbody tr.first-rule > * { border-top: 1px solid var(--rule); }
tr.rule th { color: var(--quiet); }
.prose td, .prose th { text-align: left; white-space: normal; }
.author { color: #7a1f00; }
figure { margin: 1em 0 1.4em; text-align: center; }
figure img { max-width: 100%; height: auto; }
figure.page { overflow-x: auto; }
figure.page img { width: 100%; min-width: 36rem; max-width: none; }
figcaption { font-size: 0.85rem; color: var(--quiet); text-align: left; margin-top: 0.3em; }
details { margin: 0.5em 0; }
summary { cursor: pointer; color: var(--accent); font-size: 0.88rem; padding: 0.2em 0; }
footer { margin-top: 3em; }
@media (max-width: 34rem) {
  body { padding: 0.8rem 0.7rem 2rem; font-size: 15px; }
  table { font-size: 0.76rem; }
  th, td { padding-right: 0.6em; }
  .wide:not(.prose) tr > :first-child { position: sticky; left: 0; background: #fff; }
}
@page { size: A4; margin: 18mm 16mm; }
@media print {
  body { max-width: none; padding: 0; font-size: 10pt; }
  nav, .screen { display: none; }
  h2, h3, caption { break-after: avoid; }
  figure, tr { break-inside: avoid; }
  thead, tbody tr:first-child { break-after: avoid; }
  figure.page img { min-width: 0; }
  thead { display: table-header-group; }
  table { font-size: 7.5pt; }
  .wide { overflow: visible; }
  .prose td, .prose th { font-size: 7.5pt; }
  .banner { -webkit-print-color-adjust: exact; print-color-adjust: exact; }
  /* Paper cannot be unfolded: what is folded on the screen is printed, its title once. */
  details::details-content { content-visibility: visible; display: block; height: auto;
    opacity: 1; }
  footer { margin-top: 0.5em; }
  summary { list-style: none; color: var(--ink); break-after: avoid; }
  summary.titled { display: none; }
  .dense table { font-size: 6.3pt; }
  .dense th, .dense td { padding-right: 0.5em; }
  .dense thead th { overflow-wrap: anywhere; hyphens: auto; }
}
</style>
</head>
<body>
{% macro grid(table) %}
<div class="wide{{ ' dense' if table.head | length > 9 else '' }}" tabindex="0" role="region"
aria-label="{{ table.title }}">
<table>
<caption>{{ table.title }}{% if simulated %} <span class="sim">(SIMULATED)</span>{% endif %}
</caption>
<thead><tr>{% for name in table.head %}<th scope="col"
{%- if table.words[loop.index0] %} class="word"{% endif %}>{{ name }}</th>{% endfor %}</tr></thead>
<tbody>
{% for row in table.shown %}
{% set kind = table.kinds[loop.index0] if table.kinds else "" %}
{% set fresh = kind == "rule" and table.kinds[loop.index0 - 1] != "rule" %}
<tr class="{{ kind }}{{ ' first-rule' if fresh else '' }}"><th scope="row">{{ row[0][0] }}</th>
{%- for cell in row[1:] %}<td{% if table.words[loop.index] %} class="word"{% endif %}>
{{- cell[0] }}
{%- if cell[1] %}<small>{{ cell[1] }}</small>{% endif %}</td>
{%- endfor %}</tr>
{% endfor %}
</tbody></table></div>
<p class="note">{{ table.text }}</p>
<p class="tiny">{{ note }}</p>
{% endmacro %}
{% macro drawing(figure) %}
<figure{% if figure.wide %} class="page"{% endif %}>
<img src="{{ figure.src }}" alt="{{ figure.alt }}">
<figcaption>{{ figure.title }}.{% if simulated %} SIMULATED patients.{% endif %}</figcaption>
<p class="tiny">{{ note }}</p></figure>
{% endmacro %}
<header>
{% if simulated %}
<p class="banner" role="note">SIMULATED PATIENTS<small>No figure on this page is one of a
hospital.</small></p>
{% endif %}
<h1>{{ title }}</h1>
<p class="note">{{ note }}</p>
{% if warnings %}
<ul class="warnings">
{% for line in warnings %}
<li>{{ line }}</li>
{% endfor %}
</ul>
{% endif %}
<nav class="screen" aria-label="Sections">
{% for section in sections if section.figures or section.open or section.folded %}
<a href="#{{ section.id }}">{{ section.heading }}</a>
{% endfor %}
<a href="#methods">Methods</a><a href="#checklists">Checklists</a><a href="#run">The run</a>
</nav>
</header>
<main>
{% for section in sections if section.figures or section.open or section.folded %}
<section id="{{ section.id }}">
<h2>{{ section.heading }}</h2>
{% for figure in section.figures %}
{% if section.id == "patients" %}
{{ drawing(figure) }}
{% endif %}
{% endfor %}
{% for table in section.open %}
{{ grid(table) }}
{% endfor %}
{% for figure in section.figures %}
{% if section.id != "patients" %}
{{ drawing(figure) }}
{% endif %}
{% endfor %}
{% for table in section.folded %}
<details><summary class="titled">{{ table.title }}</summary>
{{ grid(table) }}
</details>
{% endfor %}
</section>
{% endfor %}
<section id="left-out">
<h2>What was left out, and why</h2>
<ul>
{% for line in left_out %}
<li>{{ line }}</li>
{% endfor %}
</ul>
</section>
<section id="methods">
<h2>Methods</h2>
{% for paragraph in methods %}
<p>{{ paragraph }}</p>
{% endfor %}
</section>
<section id="checklists">
<h2>Checklists</h2>
<p class="note">Answered from the run, or marked for the author. Items are in our own words; the
published lists prevail.</p>
{% for name, rows in checklists.items() %}
<details><summary>{{ name }}: {{ rows | selectattr(3, "equalto", "run") | list | length }} of
{{ rows | length }} answered from the run</summary>
<div class="wide prose" tabindex="0" role="region" aria-label="{{ name }}"><table>
<caption>{{ name }}</caption>
<thead><tr><th scope="col">Item</th><th scope="col">What is asked</th>
<th scope="col">Answer</th></tr></thead>
<tbody>
{% for number, item, answer, who in rows %}
<tr><th scope="row">{{ number }}</th><td>{{ item }}</td>
<td{% if who == "author" %} class="author"{% endif %}>{{ answer }}</td></tr>
{% endfor %}
</tbody></table></div>
</details>
{% endfor %}
</section>
<section id="detail">
<h2>Detail</h2>
{% for table in detail %}
<details><summary class="titled">{{ table.title }}</summary>
{{ grid(table) }}
</details>
{% endfor %}
</section>
<section id="run">
<h2>The run</h2>
<p class="note">Every number of this page is in {{ json_name }}.</p>
<details><summary>Versions, seeds and hashes</summary>
<div class="wide prose" tabindex="0" role="region" aria-label="Settings"><table>
<caption>Settings</caption>
<thead><tr><th scope="col">Name</th><th scope="col">Value</th></tr></thead>
<tbody>
{% for name, value in facts %}
<tr><th scope="row">{{ name }}</th><td>{{ value }}</td></tr>
{% endfor %}
</tbody></table></div>
</details>
</section>
</main>
<footer><p class="note">Made with crtkit: research software, not a medical device.</p></footer>
</body>
</html>
"""
