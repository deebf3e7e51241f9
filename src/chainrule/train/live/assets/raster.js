// Pictures made of cells: histograms over time, heat maps, images, filters.

function bytes(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

// A small canvas whose pixels come from color(byte, ...).
function bitmap(width, height, channels, data, offset, color) {
  const canvas = el("canvas", { width, height });
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  for (let i = 0; i < width * height; i += 1) {
    const at = offset + i * channels;
    const pixel = channels === 3 ? [data[at], data[at + 1], data[at + 2]] : color(data[at] / 255);
    image.data.set([...pixel, 255], 4 * i);
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

function gray(share) {
  const v = Math.round(255 * share);
  return [v, v, v];
}

function inputPicture(input) {
  if (!input) return null;
  if (input.values) return valueBars(input.values);
  const canvas = bitmap(input.width, input.height, input.channels, bytes(input.data), 0, gray);
  canvas.setAttribute("aria-hidden", "true");
  return canvas;
}

function valueBars(values) {
  const canvas = el("canvas", { "aria-hidden": "true" });
  const c = sized(canvas, 120, 120);
  const known = values.filter((v) => v !== null);
  const [low, high] = [Math.min(0, ...known), Math.max(0, ...known)];
  const y = (v) => 114 - (108 * (v - low)) / (high - low || 1);
  const width = 120 / values.length;
  c.fillStyle = css("accent");
  values.forEach((v, i) => {
    if (v !== null) c.fillRect(i * width, Math.min(y(v), y(0)), Math.max(width - 1, 1), Math.abs(y(v) - y(0)) + 1);
  });
  return canvas;
}

// Tiles in rows and columns; a single column is wrapped to fill the width.
function tileCanvas(tiles, color, label) {
  const { rows, columns, height, width, channels } = tiles;
  const data = bytes(tiles.data);
  const wrapped = columns === 1;
  const across = wrapped ? Math.min(rows, 8) : columns;
  const down = wrapped ? Math.ceil(rows / across) : rows;
  const zoom = Math.max(1, Math.round((wrapped ? 54 : 32) / Math.max(width, height)));
  const [w, h, gap] = [width * zoom, height * zoom, 3];
  const canvas = el("canvas", { class: "tiles", role: "img", "aria-label": label });
  const [totalWidth, totalHeight] = [across * (w + gap) - gap, down * (h + gap) - gap];
  const c = sized(canvas, totalWidth, totalHeight);
  canvas.style.width = `${totalWidth}px`;
  c.imageSmoothingEnabled = false;
  for (let i = 0; i < rows * columns; i += 1) {
    const tile = bitmap(width, height, channels, data, i * width * height * channels, color);
    c.drawImage(tile, (i % across) * (w + gap), Math.floor(i / across) * (h + gap), w, h);
  }
  return canvas;
}

function colorScale(color, low, high) {
  const canvas = el("canvas", { "aria-hidden": "true", width: 64, height: 1 });
  const context = canvas.getContext("2d");
  for (let i = 0; i < 64; i += 1) {
    context.fillStyle = rgb(color(i / 63));
    context.fillRect(i, 0, 1, 1);
  }
  return el("div", { class: "scale" }, el("span", {}, low), canvas, el("span", {}, high));
}

function miniHistogram(canvas, histogram, color) {
  const [w, h] = [110, 26];
  const c = sized(canvas, w, h);
  const most = Math.max(1, ...histogram.counts);
  const width = w / histogram.counts.length;
  c.fillStyle = color;
  histogram.counts.forEach((count, i) => {
    const size = (h - 1) * Math.sqrt(count / most); // the root keeps thin tails in sight
    c.fillRect(i * width, h - size, Math.max(width - 0.5, 0.7), size);
  });
}

// Histograms behind one another, the newest in front.
class Ridges {
  constructor(title, about) {
    this.canvas = el("canvas", { role: "img" });
    this.frame = el("div", { class: "plot" }, this.canvas);
    this.title = title;
    this.element = el(
      "section", { class: "card" }, el("h2", {}, title), el("p", { class: "about" }, about), this.frame,
    );
    this.frame.style.height = "340px";
    this.records = [];
    this.redraw = perFrame(() => this.draw());
    new ResizeObserver(this.redraw).observe(this.frame);
    themeListeners.push(this.redraw);
  }

  // records: [{step, histogram}]
  show(records, name) {
    this.records = records.filter((record) => record.histogram);
    const last = this.records.at(-1);
    const text = last
      ? `at step ${last.step} from ${number(last.histogram.low)} to ${number(last.histogram.high)}, mean ${number(last.histogram.mean)}`
      : "no records";
    this.canvas.setAttribute("aria-label", `${this.title} of ${name}: ${text}`);
    this.redraw();
  }

  draw() {
    const { clientWidth: w, clientHeight: h } = this.frame;
    if (!w || !this.records.length) return;
    const c = sized(this.canvas, w, h);
    const low = Math.min(...this.records.map((r) => r.histogram.low));
    const high = Math.max(...this.records.map((r) => r.histogram.high));
    const pad = (high - low) * 0.03 || Math.abs(high) * 0.5 || 1;
    const [left, right, top, bottom] = [12, 58, 74, h - 28];
    const px = (v) => left + ((v - low + pad) / (high - low + 2 * pad)) * (w - left - right);
    const gap = this.records.length > 1 ? (bottom - top) / (this.records.length - 1) : 0;
    const base = (i) => (this.records.length > 1 ? top + i * gap : bottom);
    c.font = "11px system-ui, sans-serif";
    this.records.forEach(({ histogram }, i) => this.ridge(c, histogram, i, px, base(i), top - 8));
    c.fillStyle = css("soft");
    c.textAlign = "center";
    for (const tick of linearTicks(low - pad, high + pad, Math.max(2, w / 75))) {
      c.fillText(tickText(tick), px(tick), h - 8);
    }
    c.textAlign = "left";
    const every = Math.ceil(14 / Math.max(gap, 0.5));
    for (let i = this.records.length - 1; i >= 0; i -= every) {
      c.fillText(whole(this.records[i].step), w - right + 8, base(i) + 3);
    }
  }

  ridge(c, { low, high, counts }, i, px, base, tallest) {
    // Heights are densities, so that narrow histograms stand taller than wide ones of equal count.
    const most = Math.max(...counts);
    const width = (high - low) / counts.length;
    const points = counts.length > 1
      ? [[low, 0], ...counts.map((n, k) => [low + (k + 0.5) * width, n / most]), [high, 0]]
      : [[low, 0], [low, 1], [low, 0]];
    c.beginPath();
    c.moveTo(px(points[0][0]), base);
    for (const [x, y] of points) c.lineTo(px(x), base - y * tallest);
    c.lineTo(px(points.at(-1)[0]), base);
    c.globalAlpha = 0.9;
    c.fillStyle = css("card");
    c.fill();
    c.globalAlpha = 0.35;
    c.fillStyle = ordered(i, this.records.length);
    c.fill();
    c.globalAlpha = 1;
    c.strokeStyle = ordered(i, this.records.length);
    c.lineWidth = 1.2;
    c.stroke();
  }
}

// Rows of colour over steps.
class HeatMap {
  constructor(title, about) {
    this.title = title;
    this.canvas = el("canvas", { role: "img" });
    this.frame = el("div", { class: "plot" }, this.canvas);
    this.scale = el("div");
    this.element = el(
      "section", { class: "card wide" }, el("h2", {}, title), el("p", { class: "about" }, about),
      this.frame, this.scale,
    );
    this.rows = [];
    this.redraw = perFrame(() => this.draw());
    new ResizeObserver(this.redraw).observe(this.frame);
    themeListeners.push(this.redraw);
  }

  // rows: [{name, x, mean}] with positive numbers
  show(rows) {
    this.rows = rows;
    this.frame.style.height = `${Math.min(Math.max(rows.length * 20, 60), 560) + 26}px`;
    this.canvas.setAttribute("aria-label", `${this.title}: ${rows.length} parameters by step`);
    this.redraw();
  }

  draw() {
    const { clientWidth: w, clientHeight: h } = this.frame;
    const values = this.rows.flatMap((row) => row.mean.filter((v) => v > 0)).map(Math.log10);
    if (!w || !values.length) return;
    const c = sized(this.canvas, w, h);
    let [low, high] = [Infinity, -Infinity];
    for (const v of values) [low, high] = [Math.min(low, v), Math.max(high, v)];
    this.scale.replaceChildren(colorScale(viridis, number(10 ** low), number(10 ** high)));
    const left = Math.min(190, w * 0.34);
    const area = { left, width: w - left - 8, height: h - 26, low, high };
    const xs = this.rows[0].x;
    area.x0 = xs[0];
    area.x1 = Math.max(xs.at(-1), xs[0] + 1);
    c.font = "11px system-ui, sans-serif";
    this.rows.forEach((row, i) => this.row(c, row, i, area));
    c.textAlign = "center";
    c.textBaseline = "top";
    c.fillStyle = css("soft");
    for (const tick of linearTicks(area.x0, area.x1, Math.max(2, area.width / 75))) {
      const x = left + ((tick - area.x0) / (area.x1 - area.x0)) * area.width;
      if (Number.isInteger(tick)) c.fillText(whole(tick), x, area.height + 8);
    }
  }

  row(c, row, i, { left, width, height, x0, x1, low, high }) {
    const size = height / this.rows.length;
    const top = i * size;
    const px = (x) => left + ((x - x0) / (x1 - x0)) * width;
    row.mean.forEach((value, k) => {
      if (value === null) return;
      const from = k ? px(row.x[k - 1]) : left;
      const share = value > 0 ? (Math.log10(value) - low) / (high - low || 1) : 0;
      c.fillStyle = rgb(viridis(share));
      const until = Math.max(px(row.x[k]), from + 1);
      c.fillRect(from, top, until - from + 0.6, Math.max(size - 1, 1));
    });
    if (size < 9 && i % Math.ceil(9 / size)) return;
    c.fillStyle = css("soft");
    c.textAlign = "right";
    c.textBaseline = "middle";
    c.fillText(shortened(c, row.name, left - 10), left - 7, top + size / 2);
  }
}

// The end of a path tells parameters apart, so that is kept.
function shortened(c, text, width) {
  if (c.measureText(text).width <= width) return text;
  let from = 1;
  while (from < text.length && c.measureText(`…${text.slice(from)}`).width > width) from += 1;
  return `…${text.slice(from)}`;
}
