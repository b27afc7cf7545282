"""The style sheet of the reports: light or dark as the reader has it, narrow or wide, and on paper."""

from __future__ import annotations

from clipspect.sinks.verdict_style import VERDICT_STYLES

_CHIPS = "\n".join(
    f".{verdict} {{ --verdict: rgb{style.colour}; --verdict-ink: rgb{style.ink}; }}"
    for verdict, style in VERDICT_STYLES.items()
)

STYLE = f"""
:root {{ color-scheme: light dark; --ink: #1c1d21; --soft: #5d606a; --line: #dcdde3; --paper: #f5f5f7; --card: #fff;
  --bar: #8b93a7; --defect: rgb{VERDICT_STYLES["fail"].colour}; }}
@media (prefers-color-scheme: dark) {{ :root {{ --ink: #ececf0; --soft: #a6a8b3; --line: #3a3b43; --paper: #18181b;
  --card: #222226; --bar: #7f879b; --defect: #ff8a5c; }} }}
{_CHIPS}
* {{ box-sizing: border-box; }}
body {{ margin: 0; background: var(--paper); color: var(--ink); overflow-wrap: break-word;
  font: 16px/1.5 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }}
main {{ max-width: 1080px; margin: 0 auto; padding: 32px 20px 56px; }}
h1 {{ font-size: 28px; line-height: 1.2; margin: 0 0 4px; }}
h2 {{ font-size: 19px; margin: 36px 0 10px; }}
p {{ max-width: 76ch; margin: 0 0 10px; color: var(--soft); }}
.lead {{ background: var(--card); border: 1px solid var(--line); border-left: 6px solid var(--verdict, var(--bar));
  border-radius: 10px; padding: 16px 20px 8px; margin: 20px 0; }}
.lead p {{ font-size: 17px; }} .lead p:first-child {{ font-size: 22px; line-height: 1.35; color: var(--ink); }}
.panel {{ background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 14px 18px;
  overflow-x: auto; }}
table {{ border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }}
th, td {{ padding: 6px 14px 6px 0; border-bottom: 1px solid var(--line); text-align: left; font-weight: 400;
  vertical-align: top; }}
th:last-child, td:last-child {{ padding-right: 0; }}
thead th, tbody th {{ color: var(--soft); }} thead th {{ font-size: 14px; }}
tbody tr:last-child > * {{ border-bottom: 0; }}
tbody th {{ min-width: 7em; overflow-wrap: anywhere; }} .facts th {{ min-width: 9em; }}
.panel + p, .panel + .panel, .panel + .gallery {{ margin-top: 12px; }}
code {{ font-size: 13px; overflow-wrap: anywhere; }}
.chart {{ position: relative; margin: 4px 0; font-size: 13px; color: var(--soft); }}
.chart svg, .scorebar svg {{ display: block; width: 100%; }}
.chart .labels {{ position: relative; height: 20px; }}
.labels span {{ position: absolute; white-space: nowrap; }}
.labels .middle {{ transform: translateX(-50%); }} .labels .end {{ transform: translateX(-100%); }}
.good {{ fill: var(--bar); }} .axis {{ stroke: var(--soft); }}
.limit {{ stroke: var(--ink); stroke-width: 2; }} .review {{ stroke-dasharray: 5 4; }}
.defect {{ stroke: var(--defect); stroke-width: 2; }}
.average {{ fill: none; stroke: var(--ink); stroke-width: 1.5; vector-effect: non-scaling-stroke; }}
.band {{ fill: var(--bar); opacity: 0.45; }}
.axis, .limit, .defect {{ vector-effect: non-scaling-stroke; }}
.zone {{ fill: var(--verdict); }} .needle {{ fill: var(--ink); }}
.key {{ display: flex; flex-wrap: wrap; gap: 4px 20px; font-size: 14px; color: var(--soft); margin-bottom: 8px; }}
.key svg {{ width: 22px; height: 12px; margin-right: 6px; vertical-align: -1px; }}
.ramp {{ display: inline-block; width: 120px; height: 12px; border-radius: 3px; vertical-align: -1px; }}
pre {{ background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 14px 18px;
  overflow-x: auto; font-size: 14px; line-height: 1.7; margin: 0; }}
.gallery {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(min(320px, 100%), 1fr)); gap: 14px; }}
.card {{ margin: 0; background: var(--card); border: 1px solid var(--line); border-radius: 10px; overflow: hidden;
  break-inside: avoid; }}
.pair {{ display: flex; gap: 2px; }}
.pair img {{ width: calc(50% - 1px); height: auto; max-height: 420px; object-fit: contain; display: block; }}
.pair.wide {{ flex-direction: column; }} .pair.wide img {{ width: 100%; }}
figcaption {{ padding: 8px 12px 10px; font-size: 14px; }}
figcaption .line {{ display: flex; flex-wrap: wrap; gap: 2px 10px; align-items: baseline; margin-bottom: 6px; }}
figcaption .line:last-child {{ margin-bottom: 0; }}
figcaption .name {{ overflow-wrap: anywhere; min-width: 0; }}
.score {{ font-weight: 600; font-variant-numeric: tabular-nums; }}
.chip {{ background: var(--verdict); color: var(--verdict-ink); border-radius: 5px; padding: 0 8px; font-size: 13px;
  line-height: 22px; display: inline-block; white-space: nowrap; }}
.scorebar {{ min-width: 90px; }} td .scorebar {{ max-width: 240px; }}
.counts {{ display: flex; flex-wrap: wrap; gap: 10px; margin: 18px 0; }}
.counts div {{ flex: 1 1 130px; background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  padding: 10px 18px; color: var(--soft); font-size: 14px; }}
.counts b {{ display: block; color: var(--ink); font-size: 28px; line-height: 1.2; }}
@media (max-width: 520px) {{
  main {{ padding: 20px 12px 40px; }} h1 {{ font-size: 23px; }} .panel {{ padding: 10px 12px; }}
  .lead p:first-child {{ font-size: 19px; }} th, td {{ padding-right: 8px; font-size: 13px; }}
  .facts th, .facts td {{ display: block; border: 0; padding: 0 0 2px; }} .facts th {{ font-size: 13px; }}
  .facts tr {{ display: block; padding: 4px 0; border-bottom: 1px solid var(--line); }}
}}
@page {{ margin: 14mm; }}
@media print {{
  :root {{ color-scheme: light; --ink: #000; --soft: #444; --line: #bbb; --paper: #fff; --card: #fff; --bar: #8b93a7;
    --defect: rgb{VERDICT_STYLES["fail"].colour}; }}
  * {{ print-color-adjust: exact; -webkit-print-color-adjust: exact; }}
  body {{ font-size: 11pt; }} main {{ max-width: none; padding: 0; }} .panel {{ overflow: visible; }}
  h2, h2 + p {{ break-after: avoid; }} h2 {{ margin-top: 20px; }} tr, .lead, .panel {{ break-inside: avoid; }}
  .gallery {{ grid-template-columns: repeat(2, 1fr); }}
}}
"""
