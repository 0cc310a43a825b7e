"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const table = document.getElementById("networks");
const body = table.tBodies[0];
const rows = [...body.rows];
const byName = new Map(rows.map((row) => [row.dataset.name, row]));

// Sorting: a header button reverses the order of its column.
for (const head of table.tHead.rows[0].cells) {
  head.querySelector("button").addEventListener("click", () => {
    const falling = head.getAttribute("aria-sort") === "ascending";
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", falling ? "descending" : "ascending");
    const at = head.cellIndex;
    const value = (row) => row.cells[at].dataset.v ?? row.cells[at].textContent;
    const numeric = head.classList.contains("n");
    const order = (first, second) => {
      const [a, b] = [value(first), value(second)];
      if (!numeric) return a.localeCompare(b);
      if (a === "" || b === "") return (a === "") - (b === "") || 0; // unknown values come last
      return a - b;
    };
    const sign = falling ? -1 : 1;
    const known = (row) => !numeric || value(row) !== "";
    rows.sort((a, b) => (known(a) && known(b) ? sign * order(a, b) : known(b) - known(a)));
    body.append(...rows);
  });
}

// Filtering: words in any order, and a verdict.
const search = document.getElementById("search");
const verdict = document.getElementById("verdict");
function filter() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const row of rows) {
    const text = row.dataset.text;
    const fits = words.every((word) => text.includes(word)) && (!verdict.value || Number(row.dataset[verdict.value]) > 0);
    row.hidden = !fits;
    document.getElementById("net-" + row.dataset.name).hidden = !fits;
    shown += fits;
  }
  document.getElementById("shown").textContent = `${shown} of ${rows.length} networks`;
  draw();
}
search.addEventListener("input", filter);
verdict.addEventListener("change", filter);

// The chart: cost against the published error, points and rows linked.
const chart = document.getElementById("chart");
const cost = document.getElementById("cost");
const errors = document.getElementById("errors");
const protocol = document.getElementById("protocol");
const legend = document.getElementById("legend");

// Errors by different protocols are not comparable: a chart has those of one, at first of single crops.
function offerProtocols() {
  const offered = Object.entries(data.errors[errors.value] ?? {}).sort((a, b) => b[1].length - a[1].length);
  const names = offered.map(([name]) => name);
  const wanted = [protocol.value, "single crop"].find((name) => names.includes(name));
  protocol.replaceChildren(...offered.map(([name, results]) => new Option(`${name} (${results.length})`, name)));
  protocol.value = wanted ?? names[0] ?? "";
  draw();
}

// A paper has a color and a shape.
const COLORS = 8;
const SHAPES = [
  (x, y) => `M${x - 5.5} ${y}a5.5 5.5 0 1 0 11 0a5.5 5.5 0 1 0 -11 0`,
  (x, y) => `M${x - 5} ${y - 5}h10v10h-10z`,
  (x, y) => `M${x} ${y - 6}l6.5 11h-13z`,
  (x, y) => `M${x} ${y - 7}l6.5 7l-6.5 7l-6.5 -7z`,
];
function addPoint(paper, x, y, parent) {
  const shape = SHAPES[Math.floor(paper / COLORS) % SHAPES.length];
  addSvg("path", { class: `p c${paper % COLORS}`, d: shape(x, y) }, parent);
}
function explain(papers) {
  legend.replaceChildren();
  for (const paper of papers) {
    const item = addTo(legend, data.papers[paper]);
    const picture = addSvg("svg", { viewBox: "0 0 14 14", "aria-hidden": "true" }, item);
    addPoint(paper, 7, 7, picture);
    item.prepend(picture);
  }
}
function addTo(list, text) {
  const item = document.createElement("li");
  item.textContent = text;
  list.append(item);
  return item;
}
function addSvg(name, attributes, parent, text) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  parent.append(element);
  return element;
}
function short(value) {
  for (const [size, unit] of [[1e9, "G"], [1e6, "M"], [1e3, "K"]])
    if (value >= size) return `${+(value / size).toPrecision(3)}${unit}`;
  return String(value);
}
// Where a label may stand: beside, above or below its point, or farther away at the end of a line.
function labelPlaces(x, y, long) {
  const at = (l, baseline, line) => ({ l, r: l + long, t: baseline - 12, b: baseline + 3, line });
  const places = [at(x + 8, y + 4), at(x - 8 - long, y + 4), at(x - long / 2, y - 9), at(x - long / 2, y + 18)];
  for (const away of [16, 28, 42, 60])
    for (const up of [-1, 1])
      for (const side of [1, -1, 0]) {
        const [endX, endY] = [x + side * away * 0.7, y + up * away];
        const l = side > 0 ? endX + 2 : side < 0 ? endX - 2 - long : x - long / 2;
        places.push(at(l, side ? endY + 4 : up < 0 ? endY - 2 : endY + 12, [endX, endY]));
      }
  return places;
}
// The areas that a line from a point covers, but for those at the point itself.
function along(end, x, y) {
  if (!end) return [];
  const [dx, dy] = [end[0] - x, end[1] - y];
  const steps = Math.ceil(Math.hypot(dx, dy) / 3);
  const areas = [];
  for (let step = 0; step <= steps; step++) {
    const [atX, atY] = [x + (dx * step) / steps, y + (dy * step) / steps];
    if (Math.hypot(atX - x, atY - y) > 8.5) areas.push({ l: atX - 1, r: atX + 1, t: atY - 1, b: atY + 1 });
  }
  return areas;
}
function draw() {
  chart.replaceChildren();
  const results = data.errors[errors.value]?.[protocol.value] ?? [];
  const points = results
    .filter(([name]) => !byName.get(name)?.hidden)
    .map(([name, y, where]) => ({ name, y, where, x: data.nets[name][cost.value], paper: data.nets[name].paper }));
  chart.classList.toggle("empty", !points.length);
  explain([...new Set(points.map((point) => point.paper))].sort((a, b) => a - b));
  if (!points.length) {
    addSvg("text", { x: 20, y: 40 }, chart, "No published error of these networks on these data by this protocol.");
    return;
  }
  const narrow = chart.clientWidth < 600; // a phone: as many units wide as pixels, so that text stays readable
  const [width, height] = narrow ? [Math.max(chart.clientWidth, 320), 400] : [900, 460];
  const [left, right, top, bottom] = [52, narrow ? 70 : 130, 16, 44];
  chart.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const xs = points.map((point) => Math.log10(point.x));
  const ys = points.map((point) => point.y);
  const pad = (values, share) => {
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const room = (high - low || 1) * share;
    return [low - room, high + room];
  };
  const [x0, x1] = pad(xs, 0.05);
  const [y0, y1] = pad(ys, 0.08);
  const px = (value) => left + ((Math.log10(value) - x0) / (x1 - x0)) * (width - left - right);
  const py = (value) => height - bottom - ((value - y0) / (y1 - y0)) * (height - top - bottom);
  for (let power = Math.floor(x0); power <= x1; power++)
    for (const step of narrow ? [1] : [1, 2, 5]) {
      const value = step * 10 ** power;
      if (Math.log10(value) < x0 || Math.log10(value) > x1) continue;
      addSvg("line", { x1: px(value), x2: px(value), y1: top, y2: height - bottom }, chart);
      addSvg("text", { x: px(value), y: height - bottom + 18, "text-anchor": "middle", class: "axis" }, chart, short(value));
    }
  const gap = [0.1, 0.2, 0.5, 1, 2, 5, 10].find((step) => (y1 - y0) / step <= 8) ?? 20;
  for (let value = Math.ceil(y0 / gap) * gap; value <= y1; value += gap) {
    addSvg("line", { x1: left, x2: width - right, y1: py(value), y2: py(value) }, chart);
    addSvg("text", { x: left - 8, y: py(value) + 4, "text-anchor": "end", class: "axis" }, chart, `${+value.toFixed(1)}%`);
  }
  const unit = cost.value === "params" ? "parameters" : "multiply-adds of one image";
  addSvg("text", { x: narrow ? 8 : left, y: height - 6, class: "axis" }, chart, `${unit} (log scale), error in %`);
  const overlap = (a, b) => a.l < b.r && b.l < a.r && a.t < b.b && b.t < a.b;
  const taken = points.map(({ x, y }) => ({ l: px(x) - 5, r: px(x) + 5, t: py(y) - 5, b: py(y) + 5 }));
  points.sort((a, b) => a.y - b.y);
  for (const point of points) {
    const [x, y] = [px(point.x), py(point.y)];
    const label = `${point.name}, ${data.papers[point.paper]}: ${point.y}% (${point.where}), ${short(point.x)}`;
    const group = addSvg("g", { tabindex: 0, role: "link", "aria-label": label, "data-name": point.name }, chart);
    addPoint(point.paper, x, y, group);
    const places = labelPlaces(x, y, 7.3 * point.name.length);
    const inside = (place) => place.l > left && place.r < width && place.t > 0 && place.b < height - bottom;
    const free = (place) => [place, ...along(place.line, x, y)].every((area) => !taken.some((other) => overlap(area, other)));
    const fits = places.find((place) => inside(place) && free(place));
    if (fits) taken.push(fits, ...along(fits.line, x, y));
    else group.classList.add("quiet");
    const place = fits ?? places.find(inside) ?? places[0];
    if (fits?.line) addSvg("line", { class: "to", x1: x, y1: y, x2: place.line[0], y2: place.line[1] }, group);
    addSvg("text", { x: place.l, y: place.b - 3 }, group, point.name);
    addSvg("title", {}, group, label);
    for (const event of ["mouseenter", "focus"]) group.addEventListener(event, () => mark(point.name));
    for (const event of ["mouseleave", "blur"]) group.addEventListener(event, () => mark(null));
    group.addEventListener("click", () => open(point.name));
    group.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault(); // the key would close the section that was just opened
      open(point.name);
    });
  }
  const quiet = chart.querySelectorAll("g.quiet").length;
  if (quiet) addTo(legend, `Without a name until pointed at: ${quiet} of ${points.length}.`);
}
cost.addEventListener("change", draw);
errors.addEventListener("change", offerProtocols);
protocol.addEventListener("change", draw);
addEventListener("resize", draw);

function mark(name) {
  for (const element of document.querySelectorAll(".on")) element.classList.remove("on");
  if (name === null) return;
  byName.get(name)?.classList.add("on");
  for (const point of chart.querySelectorAll("g[data-name]")) {
    if (point.dataset.name !== name) continue;
    point.classList.add("on");
    if (point !== document.activeElement) point.parentNode.append(point); // in front of its neighbors
  }
}
for (const row of rows) {
  for (const event of ["mouseenter", "focusin"]) row.addEventListener(event, () => mark(row.dataset.name));
  for (const event of ["mouseleave", "focusout"]) row.addEventListener(event, () => mark(null));
}

// A network's section opens where a link leads to it.
function open(name) {
  const section = document.getElementById("net-" + name);
  if (!section) return;
  section.open = true;
  section.scrollIntoView();
  section.querySelector("summary").focus({ preventScroll: true });
}
function openFromHash() {
  if (location.hash.startsWith("#net-")) open(decodeURIComponent(location.hash.slice(5)));
}
addEventListener("hashchange", openFromHash);
table.addEventListener("click", (event) => {
  const link = event.target.closest("a[href^='#net-']");
  if (link && link.hash === location.hash) openFromHash(); // the hash does not change a second time
});
offerProtocols();
filter();
openFromHash();
