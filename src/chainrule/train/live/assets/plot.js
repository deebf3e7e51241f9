// A plot of lines over steps: mean and range of each bucket, zoom by dragging, values by pointing.

const MARGIN = { left: 58, right: 12, top: 8, bottom: 26 };

function linearTicks(low, high, count) {
  const raw = (high - low) / Math.max(count, 1);
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= raw * 0.999);
  const ticks = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i += 1) ticks.push(i * step);
  return ticks;
}

function logTicks(low, high) {
  const [from, to] = [Math.ceil(Math.log10(low) - 1e-9), Math.floor(Math.log10(high) + 1e-9)];
  if (to - from < 1) return linearTicks(low, high, 4).filter((t) => t > 0);
  const every = Math.ceil((to - from + 1) / 6);
  const ticks = [];
  for (let p = from; p <= to; p += every) ticks.push(10 ** p);
  return ticks;
}

function tickText(value) {
  if (value !== 0 && (Math.abs(value) >= 1e5 || Math.abs(value) < 1e-3)) {
    return value.toExponential(0).replace("e+", "e").replaceAll("-", "−");
  }
  return String(Number(value.toPrecision(6))).replace("-", "−");
}

// Exponential moving average over buckets; what is missing is passed over.
function smoothed(values, amount) {
  if (!amount) return values;
  let [sum, weight] = [0, 0];
  return values.map((value) => {
    if (value === null) return null;
    sum = amount * sum + (1 - amount) * value;
    weight = amount * weight + (1 - amount);
    return sum / weight;
  });
}

function lowerBound(values, x) {
  let [from, to] = [0, values.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    if (values[middle] < x) from = middle + 1;
    else to = middle;
  }
  return from;
}

class LinePlot {
  // options: title, about, log, mark (a horizontal line), zoom ({range, set} shared by plots)
  constructor(options) {
    this.options = options;
    this.log = Boolean(options.log);
    this.smooth = 0;
    this.lines = [];
    this.hidden = new Set();
    this.bright = null;
    this.pointer = null;
    this.canvas = el("canvas", { tabindex: "0", role: "img" });
    this.tip = el("div", { class: "tip", hidden: true });
    this.legend = el("ul", { class: "legend" });
    this.frame = el("div", { class: "plot" }, this.canvas, this.tip);
    this.element = el(
      "section", { class: `card ${options.wide ? "wide" : ""}` },
      el("h2", {}, options.title),
      options.about ? el("p", { class: "about" }, options.about) : null,
      this.frame, this.legend,
    );
    this.redraw = perFrame(() => this.draw());
    new ResizeObserver(this.redraw).observe(this.frame);
    themeListeners.push(() => this.recolor());
    this.listen();
  }

  listen() {
    const on = (kind, listener) => this.canvas.addEventListener(kind, listener);
    on("pointermove", (event) => {
      this.pointer = event.offsetX;
      this.redraw();
    });
    on("pointerleave", () => {
      if (!this.drag) this.pointer = null;
      this.redraw();
    });
    on("pointerdown", (event) => {
      if (event.button) return;
      this.drag = event.offsetX;
      this.canvas.setPointerCapture(event.pointerId);
    });
    on("pointerup", (event) => this.dropped(event.offsetX));
    on("dblclick", () => this.options.zoom.set(null));
    on("keydown", (event) => this.key(event));
    on("blur", () => {
      this.pointer = null;
      this.redraw();
    });
  }

  dropped(x) {
    const from = this.drag;
    this.drag = null;
    if (from === null || from === undefined || Math.abs(from - x) < 6) return;
    const [a, b] = [this.stepAt(Math.min(from, x)), this.stepAt(Math.max(from, x))];
    if (b - a >= 2) this.options.zoom.set([a, b]);
    this.redraw();
  }

  key(event) {
    const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (move && this.area) {
      const { left, width } = this.area;
      this.pointer = Math.min(Math.max((this.pointer ?? left + width) + 8 * move, left), left + width);
      event.preventDefault();
    } else if (event.key === "Escape") {
      this.pointer = null;
      this.options.zoom.set(null);
    }
    this.redraw();
  }

  // lines: [{name, color(): text, x, mean, low?, high?, dots?}]
  show(lines) {
    const names = JSON.stringify(lines.map((line) => line.name));
    this.lines = lines;
    if (names !== this.names) {
      this.names = names;
      this.buildLegend();
    }
    this.recolor();
  }

  recolor() {
    this.lines.forEach((line, i) => {
      const item = this.legend.children[i];
      if (!item) return;
      item.querySelector(".swatch").style.background = line.color();
      item.querySelector("b").textContent = number(line.mean.findLast((v) => v !== null));
    });
    this.describe();
    this.redraw();
  }

  buildLegend() {
    this.legend.replaceChildren(...this.lines.map((line) => {
      const toggle = () => {
        if (!this.hidden.delete(line.name)) this.hidden.add(line.name);
        button.setAttribute("aria-pressed", String(!this.hidden.has(line.name)));
        this.redraw();
      };
      const brighten = (name) => () => {
        this.bright = name;
        this.redraw();
      };
      const button = el(
        "button",
        {
          type: "button", "aria-pressed": String(!this.hidden.has(line.name)), title: line.name,
          onclick: toggle, onpointerenter: brighten(line.name), onpointerleave: brighten(null),
        },
        el("span", { class: "swatch" }), el("span", { class: "who" }, line.name), el("b"),
      );
      return el("li", {}, button);
    }));
  }

  describe() {
    const texts = this.lines.slice(0, 6).map((line) => {
      const i = line.mean.findLastIndex((v) => v !== null);
      return i < 0 ? `${line.name}: no numbers` : `${line.name}: ${number(line.mean[i])} at step ${line.x[i]}`;
    });
    this.canvas.setAttribute("aria-label", `${this.options.title}. ${texts.join("; ")}`);
  }

  window() {
    const chosen = this.options.zoom.range();
    if (chosen) return chosen;
    const xs = this.lines.filter((line) => line.x.length);
    const low = Math.min(...xs.map((line) => line.x[0]));
    const high = Math.max(...xs.map((line) => line.x.at(-1)));
    return [low, high > low ? high : low + 1];
  }

  stepAt(pixel) {
    const { left, width, x0, x1 } = this.area;
    return x0 + (Math.min(Math.max(pixel - left, 0), width) / width) * (x1 - x0);
  }

  shownLines() {
    return this.lines
      .filter((line) => line.x.length && !this.hidden.has(line.name))
      .map((line) => ({ ...line, drawn: smoothed(line.mean, line.dots ? 0 : this.smooth) }));
  }

  bounds(lines, x0, x1) {
    const [means, edges] = [[], []];
    for (const line of lines) {
      const to = Math.min(lowerBound(line.x, x1) + 1, line.x.length);
      for (let i = Math.max(lowerBound(line.x, x0) - 1, 0); i < to; i += 1) {
        for (const [values, into] of [[line.drawn, means], [line.low, edges], [line.high, edges]]) {
          const value = values?.[i];
          if (value !== null && value !== undefined && (!this.log || value > 0)) into.push(value);
        }
      }
    }
    if (!means.length && !edges.length) return null;
    // Single peaks must not flatten everything else: the range shows all but the outermost 1 %.
    edges.sort((a, b) => a - b);
    const inner = edges.length ? [edges[Math.floor(edges.length * 0.01)], edges[Math.ceil(edges.length * 0.99) - 1]] : [];
    let [low, high] = [Infinity, -Infinity];
    for (const v of [...inner, ...means]) {
      low = Math.min(low, v);
      high = Math.max(high, v);
    }
    if (this.log) return low < high ? [low / 1.1, high * 1.1] : [low / 2, high * 2];
    const pad = (high - low) * 0.04 || Math.abs(high) * 0.1 || 1;
    return [low - pad, high + pad];
  }

  draw() {
    const { clientWidth: w, clientHeight: h } = this.frame;
    if (!w || !h) return;
    const c = sized(this.canvas, w, h);
    const lines = this.shownLines();
    const [x0, x1] = lines.length ? this.window() : [0, 1];
    const range = lines.length ? this.bounds(lines, x0, x1) : null;
    if (!range) {
      c.fillStyle = css("soft");
      c.fillText(this.log && this.lines.length ? "nothing above zero to show" : "no numbers yet", MARGIN.left, h / 2);
      this.tip.hidden = true;
      return;
    }
    const area = {
      left: MARGIN.left, top: MARGIN.top, x0, x1, y0: range[0], y1: range[1],
      width: w - MARGIN.left - MARGIN.right, height: h - MARGIN.top - MARGIN.bottom,
    };
    this.area = area;
    const scale = this.log ? Math.log10 : (v) => v;
    const [a, b] = [scale(area.y0), scale(area.y1)];
    area.px = (x) => area.left + ((x - x0) / (x1 - x0)) * area.width;
    area.py = (y) => area.top + (1 - (scale(y) - a) / (b - a)) * area.height;
    this.axes(c, area);
    c.save();
    c.beginPath();
    c.rect(area.left - 4, area.top - 4, area.width + 8, area.height + 8);
    c.clip();
    const bright = lines.some((line) => line.name === this.bright) ? this.bright : null;
    for (const line of lines) this.band(c, area, line, bright);
    for (const line of lines) this.line(c, area, line, bright);
    c.restore();
    this.point(c, area, lines);
  }

  axes(c, area) {
    c.font = "11px system-ui, sans-serif";
    c.fillStyle = css("soft");
    c.strokeStyle = css("grid");
    c.lineWidth = 1;
    c.textBaseline = "middle";
    c.textAlign = "right";
    const ys = this.log ? logTicks(area.y0, area.y1) : linearTicks(area.y0, area.y1, 5);
    const bottom = area.top + area.height;
    c.beginPath();
    for (const tick of ys) {
      const y = Math.round(area.py(tick)) + 0.5;
      c.moveTo(area.left, y);
      c.lineTo(area.left + area.width, y);
      c.fillText(tickText(tick), area.left - 7, y);
    }
    c.stroke();
    c.textAlign = "center";
    c.textBaseline = "top";
    for (const tick of linearTicks(area.x0, area.x1, Math.max(2, area.width / 75))) {
      if (Number.isInteger(tick)) c.fillText(whole(tick), area.px(tick), bottom + 8);
    }
    if (this.options.mark && this.options.mark > area.y0 && this.options.mark < area.y1) {
      c.save();
      c.setLineDash([4, 4]);
      c.strokeStyle = css("soft");
      c.beginPath();
      c.moveTo(area.left, area.py(this.options.mark));
      c.lineTo(area.left + area.width, area.py(this.options.mark));
      c.stroke();
      c.restore();
    }
  }

  band(c, area, line, bright) {
    if (!line.low || line.dots || (bright && bright !== line.name)) return;
    c.fillStyle = line.color();
    c.globalAlpha = isDark() ? 0.22 : 0.16;
    const floor = this.log ? area.y0 : -Infinity;
    const upper = [];
    const lower = [];
    const flush = () => {
      if (upper.length > 1) {
        c.beginPath();
        for (const [x, y] of upper) c.lineTo(x, y);
        for (const [x, y] of lower.reverse()) c.lineTo(x, y);
        c.fill();
      }
      upper.length = lower.length = 0;
    };
    for (let i = 0; i < line.x.length; i += 1) {
      if (line.low[i] === null) {
        flush();
        continue;
      }
      const x = area.px(line.x[i]);
      upper.push([x, area.py(Math.max(line.high[i], floor))]);
      lower.push([x, area.py(Math.max(line.low[i], floor))]);
    }
    flush();
    c.globalAlpha = 1;
  }

  line(c, area, line, bright) {
    c.strokeStyle = c.fillStyle = line.color();
    c.lineWidth = bright === line.name ? 2.6 : 1.6;
    c.lineJoin = "round";
    c.globalAlpha = bright && bright !== line.name ? 0.25 : 1;
    c.beginPath();
    let pen = false;
    const dots = line.dots && line.x.length < 80;
    line.drawn.forEach((value, i) => {
      if (value === null || (this.log && value <= 0)) {
        pen = false;
        return;
      }
      const [x, y] = [area.px(line.x[i]), area.py(value)];
      if (pen) c.lineTo(x, y);
      else c.moveTo(x, y);
      pen = true;
    });
    c.stroke();
    if (dots || line.x.length === 1) {
      line.drawn.forEach((value, i) => {
        if (value === null || (this.log && value <= 0)) return;
        c.beginPath();
        c.arc(area.px(line.x[i]), area.py(value), 2.6, 0, 7);
        c.fill();
      });
    }
    c.globalAlpha = 1;
  }

  // The line under the pointer, and what is there.
  point(c, area, lines) {
    const inside = this.pointer !== null && this.pointer >= area.left - 4;
    this.tip.hidden = !inside;
    if (!inside) return;
    if (this.drag !== null && this.drag !== undefined) {
      c.fillStyle = css("accent");
      c.globalAlpha = 0.14;
      c.fillRect(this.drag, area.top, this.pointer - this.drag, area.height);
      c.globalAlpha = 1;
    }
    const step = this.stepAt(this.pointer);
    const found = lines.map((line) => {
      const right = Math.min(lowerBound(line.x, step), line.x.length - 1);
      const left = Math.max(right - 1, 0);
      const i = step - line.x[left] < line.x[right] - step ? left : right;
      return { line, i, value: line.drawn[i] };
    });
    const nearest = found.reduce((a, b) => (
      Math.abs(a.line.x[a.i] - step) <= Math.abs(b.line.x[b.i] - step) ? a : b));
    const at = nearest.line.x[nearest.i];
    c.strokeStyle = css("soft");
    c.beginPath();
    c.moveTo(area.px(at), area.top);
    c.lineTo(area.px(at), area.top + area.height);
    c.stroke();
    const top = found.filter((f) => f.value !== null).sort((f, g) => g.value - f.value);
    for (const f of top.slice(0, 40)) {
      c.fillStyle = f.line.color();
      c.beginPath();
      c.arc(area.px(f.line.x[f.i]), area.py(f.value), 3.2, 0, 7);
      c.fill();
    }
    this.showTip(at, top, area);
  }

  showTip(step, found, area) {
    const rows = found.slice(0, 9).map(({ line, value }) => {
      const swatch = el("span", { class: "swatch" });
      swatch.style.background = line.color();
      return el("div", {}, swatch, el("span", { class: "who" }, line.name), el("span", {}, number(value)));
    });
    const more = found.length > 9 ? [el("div", {}, `and ${found.length - 9} more`)] : [];
    this.tip.replaceChildren(el("div", {}, `step ${whole(step)}`), ...rows, ...more);
    const x = area.px(step);
    const onLeft = x > area.left + area.width / 2;
    this.tip.style.left = onLeft ? "" : `${x + 12}px`;
    this.tip.style.right = onLeft ? `${area.left + area.width + MARGIN.right - x + 12}px` : "";
    this.tip.style.top = `${area.top + 4}px`;
  }
}
