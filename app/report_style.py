"""The style sheet of a report: for screens by day and night, for telephones, for paper."""

STYLE = """
:root {
  color-scheme: light dark;
  --ink: #1f2933; --soft: #52606d; --line: #d9dee3; --paper: #ffffff; --tint: #f5f7f9;
  --gain: #12693c; --loss: #b02a20; --accent: #1f6feb; --warn: #8a5a00; --warn-tint: #fff6e0;
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 2rem 1.25rem 3rem; max-width: 68rem;
  background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  overflow-wrap: break-word;
}
header { border-bottom: 2px solid var(--ink); padding-bottom: 1rem; }
h1 { font-size: 2rem; line-height: 1.15; margin: 0 0 .25rem; letter-spacing: -.01em; }
h2 { font-size: 1.3rem; margin: 2.5rem 0 .5rem; letter-spacing: -.005em; }
h3 { font-size: 1.05rem; margin: 1.75rem 0 .25rem; }
p { margin: .4rem 0; max-width: 46rem; }
code { font: .9em ui-monospace, "SF Mono", Menlo, Consolas, monospace; overflow-wrap: anywhere; }
.soft, caption, .caption, .note { color: var(--soft); }
.lead { font-size: 1.3rem; line-height: 1.35; font-weight: 600; margin: .25rem 0 .75rem; }
dl.facts {
  display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; margin: .75rem 0 0;
}
dl.facts dt { color: var(--soft); }
dl.facts dd { margin: 0; min-width: 0; }
dl.all { columns: 2 20rem; column-gap: 2rem; margin: .5rem 0 1.25rem; font-size: .92rem; }
dl.all div {
  display: grid; grid-template-columns: minmax(0, 11fr) minmax(0, 10fr); gap: .75rem;
  border-bottom: 1px solid var(--line); padding: .22rem 0; break-inside: avoid;
}
dl.all dt { color: var(--soft); overflow-wrap: anywhere; }
dl.all dd { margin: 0; overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
ul.tiles {
  list-style: none; margin: 1.5rem 0 0; padding: 0; display: grid; gap: .75rem;
  grid-template-columns: repeat(4, 1fr);
}
ul.tiles li {
  padding: .6rem .8rem; border: 1px solid var(--line); border-radius: .5rem;
  background: var(--tint);
}
ul.tiles span { display: block; }
ul.tiles .label, ul.tiles .beside { color: var(--soft); font-size: .8rem; line-height: 1.35; }
ul.tiles .value { font-size: 1.35rem; font-weight: 650; font-variant-numeric: tabular-nums; }
p.warning {
  background: var(--warn-tint); color: var(--warn); border-left: .3rem solid currentColor;
  padding: .5rem .8rem; max-width: none;
}
.scroll { overflow-x: auto; margin: .75rem 0 1.25rem; }
table {
  border-collapse: collapse; width: 100%; font-size: .92rem; font-variant-numeric: tabular-nums;
}
caption { text-align: left; padding-bottom: .3rem; font-size: .9rem; }
th, td {
  padding: .32rem .6rem; border-bottom: 1px solid var(--line);
  vertical-align: top; text-align: left;
}
th:first-child, td:first-child { padding-left: 0; }
thead th { border-bottom: 1.5px solid var(--ink); font-size: .82rem; vertical-align: bottom; }
tbody th { font-weight: 500; }
table.numbers td, table.numbers thead th { text-align: right; white-space: nowrap; }
table.numbers th:first-child { text-align: left; }
table.words tbody th { width: 16rem; }
table.words td { overflow-wrap: anywhere; }
table.verdict tbody th { width: 8.5rem; font-weight: 650; }
table.metrics { table-layout: fixed; }
table.metrics thead th:first-child { width: 64%; }
table.metrics caption { color: var(--ink); font-size: 1.05rem; font-weight: 650; }
.note {
  display: block; white-space: normal; font-size: .82rem; font-weight: 400; line-height: 1.35;
}
table.calendar { font-size: .85rem; }
table.calendar td { padding: .3rem .35rem; border-bottom: 1px solid var(--paper); }
table.calendar td.year { font-weight: 650; padding-left: .8rem; }
.gain { color: var(--gain); } .loss { color: var(--loss); }
.up1 { background: #e6f4ec; } .up2 { background: #c9e8d6; }
.up3 { background: #a5d8bb; } .up4 { background: #7fc79f; }
.down1 { background: #fdebe9; } .down2 { background: #f9d1cd; }
.down3 { background: #f3b1aa; } .down4 { background: #ec9188; }
figure { margin: 1rem 0; }
figcaption { color: var(--soft); font-size: .9rem; }
svg {
  display: block; width: 100%; height: auto; stroke-linejoin: round; stroke-linecap: butt;
}
svg text { font-family: inherit; }
.panels { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(18rem, 1fr)); }
.panels figure { margin: 0; }
footer { margin-top: 2.5rem; border-top: 1px solid var(--line); padding-top: .75rem; }
@media (max-width: 40rem) {
  body { padding: 1.25rem 1rem 2rem; }
  h1 { font-size: 1.6rem; }
  .wide svg { min-width: 40rem; }
  dl.facts { grid-template-columns: 1fr; gap: 0; }
  dl.facts dd { margin-bottom: .35rem; }
  ul.tiles { grid-template-columns: repeat(2, 1fr); }
  table.words tbody th { width: 8rem; }
  table.numbers.metrics thead th { white-space: normal; }
  table.verdict tbody th { width: 5.5rem; }
  table.metrics thead th:first-child { width: 52%; }
  table.metrics.alone thead th:first-child { width: 70%; }
  table.metrics.alone :is(th, td):nth-child(3) { display: none; }
  table.metrics th, table.metrics td { padding: .32rem .15rem; }
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --ink: #e6e9ed; --soft: #a4afba; --line: #363d45; --paper: #14181c; --tint: #1d2329;
    --gain: #5fc08c; --loss: #f0867c; --accent: #6ea8ff; --warn: #f0c674; --warn-tint: #2b2515;
  }
  .up1 { background: #16281e; } .up2 { background: #193a28; }
  .up3 { background: #1c4d33; } .up4 { background: #1f633f; }
  .down1 { background: #2c1a19; } .down2 { background: #42201d; }
  .down3 { background: #592723; } .down4 { background: #702f2a; }
  svg [fill="#ffffff"] { fill: var(--paper); }
  svg [stroke="#ffffff"] { stroke: var(--paper); }
  svg [stroke="#e4e7eb"] { stroke: #2b323a; }
  svg [fill="#1f2933"] { fill: var(--ink); }
  svg [stroke="#1f2933"] { stroke: #c3ccd5; }
  svg [fill="#7b8794"] { fill: var(--soft); }
  svg [stroke="#1f6feb"] { stroke: var(--accent); } svg [fill="#1f6feb"] { fill: var(--accent); }
  svg [fill="#9aa5b1"] { fill: #66717d; }
  svg [fill="#1a7f4b"] { fill: #3fa873; } svg [fill="#c0362c"] { fill: #e0685e; }
  svg [stroke="#c0362c"] { stroke: #e0685e; }
}
@page { margin: 14mm 12mm; }
@media print {
  :root { color-scheme: light; }
  body { max-width: none; padding: 0; font-size: 9.5pt; }
  h1 { font-size: 18pt; } h2 { font-size: 13pt; margin-top: 1.5rem; } .lead { font-size: 12pt; }
  h2, h3, h2 + p, h3 + p, caption, .caption { break-after: avoid; }
  tr, figure, ul.tiles li, p.warning, .short { break-inside: avoid; }
  thead { display: table-header-group; }
  .scroll { overflow: visible; }
  table { font-size: 8.5pt; } table.calendar { font-size: 7.5pt; }
  table.trades { font-size: 6.5pt; } table.files { font-size: 7.5pt; }
  dl.all { font-size: 8.5pt; columns: 2; }
  th, td { padding: .18rem .35rem; }
  ul.tiles { grid-template-columns: repeat(4, 1fr); }
  .panels { grid-template-columns: repeat(3, 1fr); }
  ul.tiles li, .up1, .up2, .up3, .up4, .down1, .down2, .down3, .down4 { print-color-adjust: exact; }
}
"""
