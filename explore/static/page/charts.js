// Drawings in SVG, whose colours come from the style sheet, and images on a canvas.

const NAMESPACE = "http://www.w3.org/2000/svg";

function add(parent, name, attributes, text) {
  const element = document.createElementNS(NAMESPACE, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  parent.append(element);
  return element;
}

function clear(svg, width, height, label) {
  svg.replaceChildren();
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", label);
}

const percent = (share) => `${(100 * share).toFixed(share > 0 && share < 0.1 ? 1 : 0)}%`;

// Points of the simplex of three categories; `sizes` are radii.
export function simplex(svg, points, sizes, label) {
  const corners = [[20, 178], [220, 178], [120, 16]];
  clear(svg, 240, 200, label);
  add(svg, "polygon", { points: corners.map((corner) => corner.join(",")).join(" "), class: "frame" });
  points.forEach((point, i) => {
    const [x, y] = [0, 1].map((axis) => point.reduce((sum, weight, c) => sum + weight * corners[c][axis], 0));
    const largest = point.indexOf(Math.max(...point));
    add(svg, "circle", { cx: x.toFixed(1), cy: y.toFixed(1), r: sizes[i], class: `dot c${largest}` });
  });
  const places = [[10, 194], [230, 194], [120, 10]];
  places.forEach(([x, y], c) => add(svg, "text", { x, y, "text-anchor": "middle" }, c + 1));
}

// Each row is one draw, its weights side by side.
export function stacked(svg, rows, label) {
  clear(svg, 240, 12 * rows.length, label);
  rows.forEach((row, i) => {
    let x = 0;
    row.forEach((weight, c) => {
      add(svg, "rect", { x: x.toFixed(2), y: 12 * i + 1, width: (240 * weight).toFixed(2), height: 10, class: `c${c}` });
      x += 240 * weight;
    });
  });
}

// Two bars for each category, plain and hatched, from a base line.
export function pairs(svg, first, second, label, format = percent) {
  const largest = Math.max(...first, ...second, 0) || 1e-9;
  const least = Math.min(...first, ...second, 0);
  const scale = 120 / (largest - least);
  const base = 14 + scale * largest;
  const wide = 300 / first.length;
  clear(svg, 320, 168, label);
  add(svg, "line", { x1: 8, x2: 312, y1: base, y2: base, class: "axis" });
  [first, second].forEach((values, side) =>
    values.forEach((value, c) => {
      const height = Math.abs(value) * scale;
      const box = { x: 10 + c * wide + side * wide * 0.42, y: value < 0 ? base : base - height, height, width: wide * 0.4 };
      const bar = add(svg, "rect", { ...box, class: side ? `c${c} second` : `c${c}` });
      add(bar, "title", {}, `category ${c + 1}: ${format(value)}`);
    }),
  );
  first.forEach((_, c) => add(svg, "text", { x: 10 + (c + 0.41) * wide, y: 162, "text-anchor": "middle" }, c + 1));
}

// Error of the mean over the number of draws, both on logarithmic axes, and what an unbiased estimator would have.
export function errors(svg, counts, error, spread, label) {
  const noise = counts.map((count) => Math.max(spread, 1e-9) / Math.sqrt(count));
  const values = [...error, ...noise].filter((value) => value > 1e-7);
  const [low, high] = [Math.floor(Math.log10(Math.min(...values, 1))), Math.ceil(Math.log10(Math.max(...values, 1e-6)))];
  const x = (count) => 46 + (260 * Math.log(count)) / Math.log(counts.at(-1));
  const y = (value) => 130 - (118 * (Math.log10(Math.max(value, 10 ** low)) - low)) / Math.max(high - low, 1);
  clear(svg, 320, 168, label);
  for (let power = low; power <= high; power++) {
    add(svg, "line", { x1: 46, x2: 306, y1: y(10 ** power), y2: y(10 ** power), class: "grid" });
    add(svg, "text", { x: 40, y: y(10 ** power) + 4, "text-anchor": "end" }, `1e${power}`);
  }
  [counts[0], counts[Math.floor(counts.length / 2)], counts.at(-1)].forEach((count) =>
    add(svg, "text", { x: x(count), y: 148, "text-anchor": "middle" }, count),
  );
  add(svg, "text", { x: 176, y: 164, "text-anchor": "middle" }, "draws");
  const line = (points) => points.map((value, i) => `${x(counts[i]).toFixed(1)},${y(value).toFixed(1)}`).join(" ");
  add(svg, "polyline", { points: line(noise), class: "line dashed" });
  add(svg, "polyline", { points: line(error), class: "line" });
}

// An image c h w with values in [0, 1], one canvas pixel each; the style sheet enlarges it.
export function paint(canvas, values, [channels, height, width]) {
  if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
  const picture = new ImageData(width, height);
  const n = height * width;
  for (let p = 0; p < n; p++) {
    for (let c = 0; c < 3; c++) picture.data[4 * p + c] = 255 * values[(channels === 3 ? c : 0) * n + p];
    picture.data[4 * p + 3] = 255;
  }
  canvas.getContext("2d").putImageData(picture, 0, 0);
}
