// What the tabs show. A panel has a name, an element, and update(summary) that asks for what is new.

function notRecorded() {
  const text = "Nothing of this kind was recorded: train with fit(..., live=True).";
  return el("p", { class: "empty" }, text);
}

class CurvesPanel {
  constructor(source) {
    this.source = source;
    this.title = "Curves";
    this.curves = new Curves(source, "curves");
    this.plots = new Map();
    this.range = null;
    this.detail = null;
    this.grid = el("div", { class: "grid" });
    this.element = el("div", {}, this.tools(), this.grid);
  }

  tools() {
    this.logButton = el("button", { type: "button", "aria-pressed": "false", onclick: () => this.toggleLog() }, "Logarithmic loss");
    this.reset = el("button", { type: "button", hidden: true, onclick: () => this.zoom(null) }, "Whole run");
    const slider = el("input", { type: "range", min: 0, max: 0.99, step: 0.01, value: 0, id: "smooth" });
    slider.addEventListener("input", () => {
      for (const plot of this.plots.values()) {
        plot.smooth = Number(slider.value) ** 0.5;
        plot.redraw();
      }
      this.smooth = Number(slider.value) ** 0.5;
    });
    this.smooth = 0;
    return el(
      "div", { class: "tools" }, this.logButton, el("label", { for: "smooth" }, "Smoothing", slider),
      this.reset, el("span", {}, "Drag across a plot to zoom, double-click for the whole run. The band spans the least and largest step."),
    );
  }

  toggleLog() {
    this.log = !this.log;
    this.logButton.setAttribute("aria-pressed", String(this.log));
    const plot = this.plots.get("loss");
    if (plot) {
      plot.log = this.log;
      plot.redraw();
    }
  }

  async zoom(range) {
    this.range = range;
    this.detail = null;
    this.reset.hidden = !range;
    this.draw();
    if (!range) return;
    const series = await ifReached(zoomed(this.source, ...range));
    if (this.range === range) this.detail = series;
    this.draw();
  }

  async update() {
    await this.curves.update();
    this.draw();
  }

  whole() {
    const lists = this.curves.list().filter((series) => series.x.length);
    const first = Math.min(...lists.map((series) => series.x[0]));
    return [first, Math.max(first + 1, this.curves.last)];
  }

  draw() {
    const charts = new Map();
    for (const series of this.detail ?? this.curves.list()) {
      charts.set(series.chart, [...(charts.get(series.chart) ?? []), series]);
    }
    for (const [chart, list] of charts) {
      if (!this.plots.has(chart)) this.add(chart);
      this.plots.get(chart).show(list.map((series) => {
        const training = series.name === "training";
        return {
          ...series, name: series.name, dots: !training,
          color: () => css(training ? "training" : "validation"),
        };
      }));
    }
    for (const [chart, plot] of this.plots) {
      if (charts.has(chart)) continue;
      plot.element.remove();
      this.plots.delete(chart);
    }
  }

  add(chart) {
    const plot = new LinePlot({
      title: chart, wide: chart === "loss", log: chart === "loss" && this.log,
      // All plots have the same axis, also when a metric was first taken late.
      zoom: { range: () => this.range ?? this.whole(), set: (range) => this.zoom(range) },
    });
    plot.smooth = this.smooth;
    if (chart === "loss") plot.frame.style.height = "340px";
    this.plots.set(chart, plot);
    this.grid.append(plot.element);
  }
}

class FlowPanel {
  constructor(source) {
    this.title = "Gradient flow";
    this.flow = new Curves(source, "flow");
    this.range = null;
    const zoom = { range: () => this.range, set: (range) => this.zoom(range) };
    this.gradients = new LinePlot({
      title: "Gradient norm by parameter", log: true, zoom,
      about: "Dark lines are near the input. Norms that fall off towards the input tell of vanishing gradients.",
    });
    this.ratios = new LinePlot({
      title: "Update ratio", log: true, mark: 1e-3, zoom,
      about: "Norm of the update over norm of the weights. About 1e−3 (dashed) is usual.",
    });
    this.map = new HeatMap("Gradient flow over time", "Norm of each parameter's gradient, from the input (top) to the output.");
    this.table = el("tbody");
    const head = ["Parameter", "Shape", "Weight norm", "Gradient norm", "Update ratio"];
    this.nothing = notRecorded();
    this.grid = el(
      "div", { class: "grid" }, this.gradients.element, this.ratios.element, this.map.element,
      el("section", { class: "card wide" }, el("h2", {}, "Now"), el("div", { class: "scroll", tabindex: "0" },
        el("table", { class: "list" },
          el("thead", {}, el("tr", {}, ...head.map((text) => el("th", { scope: "col" }, text)))), this.table))),
    );
    this.element = el("div", {}, this.nothing, this.grid);
  }

  zoom(range) {
    this.range = range;
    this.gradients.redraw();
    this.ratios.redraw();
  }

  async update() {
    await this.flow.update();
    const parameters = this.flow.extra.parameters ?? [];
    this.nothing.hidden = parameters.length > 0;
    this.grid.hidden = !parameters.length;
    if (!parameters.length) return;
    const rows = { gradient: [], ratio: [], weight: [] };
    for (const series of this.flow.list()) {
      const i = series.name;
      rows[series.chart][i] = {
        ...series, name: parameters[i].name, color: () => ordered(i, parameters.length),
      };
    }
    this.gradients.show(rows.gradient);
    this.ratios.show(rows.ratio);
    this.map.show(rows.gradient);
    const last = (row) => number(row?.mean.findLast((v) => v !== null));
    this.table.replaceChildren(...parameters.map((parameter, i) => el("tr", {},
      el("th", { scope: "row", title: parameter.name }, parameter.name),
      el("td", {}, parameter.shape.join(" × ") || "scalar"), el("td", {}, last(rows.weight[i])),
      el("td", {}, last(rows.gradient[i])), el("td", {}, last(rows.ratio[i])))));
  }
}

class HistogramsPanel {
  constructor(source) {
    this.source = source;
    this.title = "Histograms";
    this.chosen = 0;
    this.weights = new Ridges("Weights over time", "Newest in front; each scaled to its own peak.");
    this.gradients = new Ridges("Gradients over time", "Newest in front; each scaled to its own peak.");
    this.select = el("select", { id: "parameter" });
    this.select.addEventListener("change", () => this.choose(Number(this.select.value)));
    this.table = el("tbody");
    const head = ["Parameter", "Weights", "mean ± deviation", "Gradients", "mean ± deviation"];
    this.nothing = notRecorded();
    this.shown = el(
      "div", {}, el("div", { class: "tools" }, el("label", { for: "parameter" }, "Parameter", this.select)),
      el("div", { class: "grid" }, this.weights.element, this.gradients.element,
        el("section", { class: "card wide" }, el("h2", {}, "All parameters, latest"), el("div", { class: "scroll", tabindex: "0" },
          el("table", { class: "list" },
            el("thead", {}, el("tr", {}, ...head.map((text) => el("th", { scope: "col" }, text)))), this.table)))),
    );
    this.element = el("div", {}, this.nothing, this.shown);
    themeListeners.push(() => this.drawTable());
  }

  async choose(i) {
    this.chosen = i;
    this.select.value = String(i);
    await this.updateRidges();
    this.drawTable();
  }

  async update(summary) {
    const version = `${summary.generation} ${summary.versions.histograms}`;
    if (version === this.version) return;
    const answer = await this.source.ask("histograms");
    this.nothing.hidden = answer.records.length > 0;
    this.shown.hidden = !answer.records.length;
    if (!answer.records.length) return;
    this.version = version;
    this.parameters = answer.parameters;
    this.latest = answer.records[0];
    this.chosen = Math.min(this.chosen, this.parameters.length - 1);
    const names = JSON.stringify(this.parameters);
    if (names !== this.names) {
      this.names = names;
      this.select.replaceChildren(...this.parameters.map((p, i) => el("option", { value: i }, p.name)));
      this.select.value = String(this.chosen);
    }
    await this.updateRidges();
    this.drawTable();
  }

  async updateRidges() {
    const chosen = this.chosen;
    const answer = await ifReached(this.source.ask("histograms", { parameter: chosen }));
    if (chosen !== this.chosen || !answer) return;
    const name = this.parameters[chosen].name;
    for (const [plot, kind] of [[this.weights, "weights"], [this.gradients, "gradients"]]) {
      plot.show(answer.records.map((r) => ({ step: r.step, histogram: r[kind][0] })), name);
    }
  }

  drawTable() {
    if (!this.latest) return;
    this.table.replaceChildren(...this.parameters.map((parameter, i) => {
      const cells = [["weights", "training"], ["gradients", "validation"]].flatMap(([kind, color]) => {
        const histogram = this.latest[kind][i];
        if (!histogram) return [el("td"), el("td")];
        const canvas = el("canvas", { "aria-hidden": "true" });
        miniHistogram(canvas, histogram, css(color));
        const missing = histogram.missing ? `, ${histogram.missing} not finite` : "";
        return [el("td", {}, canvas), el("td", {}, `${number(histogram.mean)} ± ${number(histogram.std)}${missing}`)];
      });
      const pick = el("button", { type: "button", title: parameter.name, onclick: () => this.choose(i) }, parameter.name);
      return el("tr", { "aria-selected": String(i === this.chosen) }, el("th", { scope: "row" }, pick), ...cells);
    }));
  }
}

class PredictionsPanel {
  constructor(source) {
    this.source = source;
    this.title = "Predictions";
    this.element = el("div", { class: "grid" });
    themeListeners.push(() => this.content && this.draw());
  }

  async update(summary) {
    const version = `${summary.generation} ${summary.versions.predictions}`;
    if (version === this.version) return;
    this.version = version;
    this.content = await this.source.ask("predictions");
    this.draw();
  }

  name(label) {
    return this.content.names?.[label] ?? String(label);
  }

  draw() {
    const { reason, correct, examples, step, pairs, matrix } = this.content;
    if (reason) {
      this.element.replaceChildren(el("p", { class: "empty wide" }, reason));
      return;
    }
    const counted = `${whole(correct)} right among ${whole(examples)} validation examples, at step ${whole(step)}.`;
    const confusion = el(
      "section", { class: "card" }, el("h2", {}, "Confusion matrix"), el("p", { class: "about" }, counted),
      matrix ? el("div", { class: "scroll", tabindex: "0" }, this.matrix(matrix)) : el("p", { class: "about" }, "Too many classes for a matrix."),
    );
    const rows = pairs.map(([label, answer, count, total]) => el("tr", {},
      el("th", { scope: "row" }, this.name(label)), el("td", {}, this.name(answer)),
      el("td", {}, whole(count)), el("td", {}, `${((100 * count) / total).toFixed(1)} %`)));
    const confused = el(
      "section", { class: "card" }, el("h2", {}, "Most confused"),
      pairs.length ? el("div", { class: "scroll", tabindex: "0" }, el("table", { class: "list" },
        el("thead", {}, el("tr", {}, ...["Class", "Taken for", "Times", "Share"].map((t) => el("th", { scope: "col" }, t)))),
        el("tbody", {}, ...rows))) : el("p", { class: "about" }, "No example is answered wrongly."),
    );
    this.element.replaceChildren(confusion, confused, this.worst());
  }

  matrix(matrix) {
    const totals = matrix.map((row) => Math.max(1, row.reduce((a, b) => a + b, 0)));
    const head = el("tr", {}, el("td"), ...matrix.map((_, j) => el("th", { scope: "col", title: this.name(j) }, this.name(j))));
    const rows = matrix.map((row, i) => el("tr", {}, el("th", { scope: "row", title: this.name(i) }, this.name(i)),
      ...row.map((count, j) => {
        const share = count / totals[i];
        const cell = el("td", { title: `${this.name(i)} taken for ${this.name(j)}: ${count}` }, count ? String(count) : "");
        const strength = count ? 0.12 + 0.88 * share ** 0.6 : 0;
        cell.style.background = `color-mix(in srgb, ${css(i === j ? "training" : "bad")} ${Math.round(100 * strength)}%, transparent)`;
        if (strength > 0.55) cell.style.color = css("card");
        return cell;
      })));
    return el("table", { class: "matrix" }, el("caption", {}, "Rows: the class; columns: the answer."),
      el("thead", {}, head), el("tbody", {}, ...rows));
  }

  worst() {
    const items = this.content.worst.map((example) => {
      const right = example.label === example.answer;
      return el("li", {}, inputPicture(example.input),
        el("div", { class: right ? "right" : "wrong" }, right ? this.name(example.label) : `${this.name(example.answer)}, not ${this.name(example.label)}`),
        el("small", {}, `sure by ${(100 * example.probability).toFixed(1)} %`),
        el("small", {}, `loss ${number(example.loss)}, example ${example.index}`));
    });
    return el("section", { class: "card wide" }, el("h2", {}, "Worst examples"),
      el("p", { class: "about" }, "Those whose class got the least probability."),
      el("ul", { class: "gallery" }, ...items));
  }
}

class FeaturesPanel {
  constructor(source) {
    this.source = source;
    this.title = "Filters";
    this.element = el("div", { class: "grid" });
    themeListeners.push(() => this.content && this.draw());
  }

  async update(summary) {
    const version = `${summary.generation} ${summary.versions.features}`;
    if (version === this.version) return;
    this.version = version;
    this.content = await this.source.ask("features");
    this.draw();
  }

  draw() {
    const { reason, layers, example, step } = this.content;
    if (reason) {
      this.element.replaceChildren(el("p", { class: "empty wide" }, reason));
      return;
    }
    const input = example?.input ? inputPicture(example.input) : null;
    if (input) {
      input.className = "tiles";
      input.style.width = "84px";
    }
    const seen = input ? el("section", { class: "card wide" }, el("h2", {}, "Input of the feature maps"),
      el("p", { class: "about" }, `Validation example ${example.index}, at step ${whole(step)}.`), input) : null;
    this.element.replaceChildren(...[seen, ...layers.map((layer) => this.layer(layer))].filter(Boolean));
  }

  layer({ name, filters, maps }) {
    const [outputs, inputs] = filters.of;
    const shown = filters.rows < outputs || (filters.channels === 1 && filters.columns < inputs) ? `, ${filters.rows} × ${filters.columns} shown` : "";
    const arranged = filters.columns > 1 ? "a row per filter, a column per input; " : "";
    const colors = filters.channels === 1 ? colorScale(diverging, number(-filters.scale), number(filters.scale)) : null;
    const parts = [el("div", {}, el("h3", {}, `Filters: ${arranged}${outputs} over ${inputs} ${inputs === 1 ? "channel" : "channels"}${shown}`),
      tileCanvas(filters, diverging, `Filters of ${name}`), colors)];
    if (maps) {
      const some = maps.rows < maps.of[0] ? `, ${maps.rows} of ${maps.of[0]} shown` : "";
      parts.push(el("div", {}, el("h3", {}, `Feature maps, before the activation${some}`),
        tileCanvas(maps, viridis, `Feature maps of ${name}`), colorScale(viridis, number(maps.low), number(maps.high))));
    }
    return el("section", { class: "card wide" }, el("h2", {}, name), el("div", { class: "pair" }, ...parts));
  }
}
