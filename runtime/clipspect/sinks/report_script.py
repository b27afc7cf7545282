"""What makes the gallery of a run's page move: sort, filter, heat, and one image in full. Nothing is loaded."""

from __future__ import annotations

STYLE = """
.controls { display: flex; flex-wrap: wrap; gap: 8px 18px; align-items: center; margin: 0 0 12px; font-size: 14px; }
.controls[hidden] { display: none; }
.controls label, .bar label { display: inline-flex; gap: 6px; align-items: center; }
select, button { font: inherit; color: inherit; background: var(--card); border: 1px solid var(--line);
  border-radius: 6px; padding: 3px 10px; }
.open { display: block; width: 100%; padding: 0; border: 0; border-radius: 0; cursor: zoom-in; }
.stack { position: relative; display: block; aspect-ratio: var(--ratio); max-width: calc(420px * var(--ratio));
  margin: 0 auto; overflow: hidden; }
.stack > * { position: absolute; inset: 0; width: 100%; height: 100%; display: block; }
.heat { opacity: var(--heat, .7); }
.marks rect { fill: none; stroke: #fff; stroke-width: 2; vector-effect: non-scaling-stroke; paint-order: stroke;
  filter: drop-shadow(0 0 1px #000); }
.marks .window { stroke: #5ce1ff; stroke-dasharray: 5 3; }
.card.run { content-visibility: auto; contain-intrinsic-size: 320px 300px; } .card.run[hidden] { display: none; }
.reasons summary { cursor: pointer; color: var(--soft); }
.reasons ul, #said ul { margin: 4px 0 0; padding-left: 18px; } .reasons .of { list-style: none; color: var(--soft); }
#viewer { width: min(1240px, 97vw); max-width: none; max-height: 97vh; border: 1px solid var(--line);
  border-radius: 10px; padding: 12px; background: var(--card); color: var(--ink); }
#viewer::backdrop { background: #000b; }
#viewer .stack { max-width: min(100%, calc(72vh * var(--ratio))); }
.bar { display: flex; flex-wrap: wrap; gap: 8px 16px; align-items: center; margin-bottom: 10px; font-size: 14px; }
#close { margin-left: auto; } .plain .marks { display: none; }
#said { font-size: 14px; margin-top: 10px; } #said .scorebar { max-width: 360px; }
#said .line { display: flex; gap: 10px; flex-wrap: wrap; }
@media print { .controls, #viewer { display: none; } }
"""

SCRIPT = """
const all = [...document.querySelectorAll(".card.run")], grid = document.querySelector(".gallery.run");
const find = id => document.getElementById(id), viewer = find("viewer");
if (grid) {
  document.querySelector(".controls").hidden = false;
  let shown = all, at = 0;
  const keys = {
    rank: (a, b) => a.dataset.rank - b.dataset.rank, number: (a, b) => a.dataset.number - b.dataset.number,
    score: (a, b) => b.dataset.score - a.dataset.score,
    name: (a, b) => a.dataset.name.localeCompare(b.dataset.name, undefined, { numeric: true }),
  };
  const arrange = () => {
    const boxes = [...document.querySelectorAll(".filter")];
    const off = new Set(boxes.filter(box => !box.checked).map(box => box.value));
    all.sort(keys[find("sort").value]).forEach(card => { card.hidden = off.has(card.dataset.verdict); });
    grid.append(...all);
    shown = all.filter(card => !card.hidden);
  };
  const show = place => {
    at = (place + shown.length) % shown.length;
    const card = shown[at], stack = card.querySelector(".stack").cloneNode(true), photo = stack.querySelector(".photo");
    if (photo.dataset.full) photo.src = photo.dataset.full;
    find("shown").replaceChildren(stack);
    const said = card.querySelector("figcaption").cloneNode(true);
    said.querySelectorAll("details").forEach(part => { part.open = true; });
    find("said").replaceChildren(said);
    if (!viewer.open) viewer.showModal();
  };
  const heat = (where, value) => where.style.setProperty("--heat", value / 100);
  find("sort").onchange = arrange;
  document.querySelectorAll(".filter").forEach(box => { box.onchange = arrange; });
  find("heat").oninput = event => heat(grid, event.target.value);
  find("opacity").oninput = event => heat(viewer, event.target.value);
  find("marks").onchange = event => viewer.classList.toggle("plain", !event.target.checked);
  find("before").onclick = () => show(at - 1);
  find("after").onclick = () => show(at + 1);
  find("close").onclick = () => viewer.close();
  viewer.onkeydown = event => {
    if (event.target.type === "range") return;
    if (event.key === "ArrowLeft") show(at - 1);
    if (event.key === "ArrowRight") show(at + 1);
  };
  grid.onclick = event => {
    const open = event.target.closest(".open");
    if (open) show(shown.indexOf(open.closest(".card")));
  };
  const asked = location.hash.match(/^#image-(\\d+)$/);
  if (asked && all[asked[1]]) show(+asked[1]);
}
"""
