"""The demo page's style sheet and its `string.Template`."""

STYLE = """
:root { --ink: #1c1d21; --soft: #6a6d76; --line: #e3e4e8; --paper: #f6f6f8; --bad: #d63333; --good: #22a054; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); }
body { font: 16px/1.5 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
main { max-width: 1240px; margin: 0 auto; padding: 40px 24px 64px; }
h1 { font-size: 30px; line-height: 1.2; margin: 0 0 8px; letter-spacing: -0.01em; }
h2 { font-size: 19px; margin: 44px 0 12px; }
p { max-width: 76ch; margin: 0 0 12px; color: var(--soft); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(190px, 1fr)); gap: 12px; margin: 28px 0 8px; }
.tile, .card, .panel { background: #fff; border: 1px solid var(--line); border-radius: 10px; }
.tile { padding: 16px 20px; }
.tile b { display: block; font-size: 32px; line-height: 1.15; font-variant-numeric: tabular-nums; }
.tile span { color: var(--soft); font-size: 14px; }
.panel { padding: 16px 20px; overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: 6px 12px; border-bottom: 1px solid var(--line); }
th, td { text-align: right; font-weight: 400; white-space: nowrap; }
th:first-child { text-align: left; padding-left: 0; }
thead th { color: var(--soft); font-size: 13px; }
tr.total th, tr.total td { font-weight: 600; }
tbody tr:last-child > * { border-bottom: 0; }
svg { width: 100%; display: block; }
svg line { stroke: var(--line); } svg text { fill: var(--soft); font-size: 14px; }
svg .bad { fill: var(--bad); opacity: .75; } svg .good { fill: var(--good); opacity: .75; }
.key { display: flex; flex-wrap: wrap; gap: 8px 22px; align-items: center; margin: 0 0 14px; }
.key { font-size: 14px; color: var(--soft); }
.key i { display: inline-block; width: 14px; height: 14px; border-radius: 3px; }
.key i { margin-right: 6px; vertical-align: -2px; }
.ramp { display: inline-block; width: 120px; height: 12px; border-radius: 3px; margin: 0 6px; vertical-align: -1px; }
.gallery { display: grid; grid-template-columns: repeat(auto-fill, minmax(340px, 1fr)); gap: 14px; }
.card { margin: 0; overflow: hidden; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 2px; background: #fff; }
.pair img { width: 100%; display: block; }
figcaption { display: flex; align-items: center; gap: 10px; padding: 9px 14px; font-size: 14px; }
.score { font-weight: 600; font-variant-numeric: tabular-nums; }
.chip { color: #fff; border-radius: 99px; padding: 0 10px; font-size: 13px; line-height: 22px; }
.chip.bad { background: var(--bad); } .chip.good { background: var(--good); }
.family { color: var(--soft); margin-left: auto; }
pre { background: var(--ink); color: #f1f1f4; border-radius: 10px; padding: 16px 20px; overflow-x: auto; }
pre { font-size: 14px; line-height: 1.7; margin: 0; }
"""

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>clipspect demo</title><style>$style</style></head><body><main>
<h1>clipspect demo</h1>
<p>$count drawn images of $families families, inspected by the small embedded model. Neither these families nor these
kinds of defect were in its training, and it is shown no good part for comparison: it compares each window of the image
with words for normal and damaged things. It is a demonstration and a test fixture, not a product for a line.</p>
<section class="tiles">
<div class="tile"><b>$image_auroc</b><span>image AUROC, per cent, mean of families</span></div>
<div class="tile"><b>$pixel_auroc</b><span>pixel AUROC, per cent, mean of families</span></div>
<div class="tile"><b>$milliseconds ms</b><span>an image, median, $device</span></div>
<div class="tile"><b>$good + $defective</b><span>good and defective images</span></div>
</section>
<p>Image AUROC: the chance that a defective image scores higher than a good one (50 is chance). Pixel AUROC: the same
for pixels, those of good images included. Time: one image at a time, from decoding the file to
the map in the image's size.</p>
<h2>Scores</h2>
<div class="panel"><div class="key"><span><i style="background: var(--good)"></i>good</span>
<span><i style="background: var(--bad)"></i>defective</span></div>$strip</div>
<h2>Families</h2>
<div class="panel"><table><thead><tr><th>family</th><th>good</th><th>defective</th><th>image AUROC</th>
<th>pixel AUROC</th><th>ms</th></tr></thead><tbody>
$rows
</tbody></table></div>
<h2>Images, the highest score first</h2>
<div class="key"><span><i style="border: 2px solid rgb(40, 220, 120)"></i>left: the image, its true defect</span>
<span><i style="border: 2px solid #fff; outline: 1px solid #777"></i>right: heat, regions over the limit</span>
<span>$low<span class="ramp" style="background: $bar"></span>$high, the same scale for all</span></div>
<section class="gallery">
$cards
</section>
<h2>Next, with real weights</h2>
<pre>$next_steps</pre>
<p style="margin-top: 28px">clipspect $version</p>
</main></body></html>
"""
