// The page as a whole: head, tabs, and asking for news.

const SOON = 1000;
const LATER = 5000;

class App {
  constructor() {
    this.source = openSource();
    this.panels = [CurvesPanel, FlowPanel, HistogramsPanel, PredictionsPanel, FeaturesPanel].map((Panel) => new Panel(this.source));
    this.buildTabs();
    this.select(Math.max(0, this.addressed()));
    byId("theme").addEventListener("click", () => setTheme(themes[(themes.indexOf(theme) + 1) % themes.length]));
    darkness.addEventListener("change", () => setTheme(theme));
    document.addEventListener("visibilitychange", () => this.refresh());
    window.addEventListener("hashchange", () => {
      const i = this.addressed();
      if (i >= 0 && i !== this.chosen) this.select(i);
    });
    if (this.source.live) setInterval(() => this.age(), 1000);
  }

  buildTabs() {
    this.tabs = this.panels.map((panel, i) => el("button", {
      type: "button", role: "tab", id: `tab-${slug(panel)}`, "aria-controls": slug(panel), onclick: () => this.select(i),
    }, panel.title));
    this.panels.forEach((panel, i) => {
      const attributes = { role: "tabpanel", id: slug(panel), "aria-labelledby": this.tabs[i].id };
      for (const [name, value] of Object.entries(attributes)) panel.element.setAttribute(name, value);
    });
    byId("tabs").append(...this.tabs);
    byId("tabs").addEventListener("keydown", (event) => {
      const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!move) return;
      this.select((this.chosen + move + this.tabs.length) % this.tabs.length);
      this.tabs[this.chosen].focus();
    });
    byId("panels").append(...this.panels.map((panel) => panel.element));
  }

  // Which tab the address names; not by the name of an element, to which the browser would scroll.
  addressed() {
    return this.panels.findIndex((panel) => `#/${slug(panel)}` === location.hash);
  }

  select(i) {
    this.chosen = i;
    this.tabs.forEach((tab, j) => {
      tab.setAttribute("aria-selected", String(i === j));
      tab.tabIndex = i === j ? 0 : -1;
      this.panels[j].element.hidden = i !== j;
    });
    try {
      history.replaceState(null, "", `#/${slug(this.panels[i])}`);
    } catch {
      return; // some places that show a file forbid it
    } finally {
      if (this.summary) this.refresh();
    }
  }

  // Asks for what is new, one question at a time, and comes back later.
  async refresh() {
    clearTimeout(this.timer);
    if (document.hidden && this.summary) return;
    if (this.asking) {
      this.again = true;
      return;
    }
    this.asking = true;
    try {
      this.summary = await this.source.ask("summary");
      this.reached = performance.now();
      this.lost = this.refused = null;
      await this.update();
    } catch (error) {
      if (error instanceof Unreachable) this.lost = true;
      else this.refused = error.message;
      if (!(error instanceof Unreachable || error instanceof Refusal)) console.error(error);
    }
    this.asking = false;
    this.head();
    if (!this.source.live) return;
    const pause = this.again ? 0 : this.summary?.reason ? LATER : SOON;
    this.again = false;
    this.timer = setTimeout(() => this.refresh(), pause);
  }

  async update() {
    await this.panels[this.chosen].update(this.summary);
  }

  head() {
    const s = this.summary;
    this.status();
    if (!s) return;
    byId("name").textContent = s.name;
    document.title = `${s.name}: step ${whole(s.step)}`;
    const left = s.total_steps && s.seconds_per_step && !s.reason ? (s.total_steps - s.step) * s.seconds_per_step : null;
    const facts = [
      ["Step", s.total_steps ? `${whole(s.step)} of ${whole(s.total_steps)}` : whole(s.step)],
      ["Epoch", s.epochs ? `${s.epoch} of ${s.epochs}` : String(s.epoch)],
      ["Loss", number(s.loss)],
      ...s.last.filter(({ name }) => name !== "training").map(({ chart, value }) => [
        chart === "loss" ? "Validation loss" : chart, number(value)]),
      s.best_step === null ? null : ["Best at step", whole(s.best_step)],
      left === null ? ["Took", duration(s.time - s.began)] : ["Left", duration(left)],
      s.seconds_per_step ? ["Per step", `${number(s.seconds_per_step * 1000)} ms`] : null,
      s.parameters ? ["Parameters", whole(s.parameters)] : null,
    ].filter(Boolean);
    byId("facts").replaceChildren(...facts.map(([term, value]) => el("div", {}, el("dt", {}, term), el("dd", {}, value))));
    const progress = byId("progress");
    progress.hidden = !s.total_steps;
    if (s.total_steps) {
      const share = Math.min(100, (100 * s.step) / s.total_steps);
      byId("bar").style.width = `${share}%`;
      progress.setAttribute("aria-valuenow", String(Math.round(share)));
    }
  }

  // What state the run is in, and whether anybody is there to ask.
  status() {
    const s = this.summary;
    const say = (text, kind, notice = "") => {
      const pill = byId("status");
      if (pill.textContent !== text) pill.textContent = text;
      pill.dataset.kind = kind;
      byId("notice").textContent = notice;
      byId("notice").hidden = !notice;
    };
    const unread = this.refused ? `Not all can be shown: ${this.refused}` : s?.unreadable ? `${s.unreadable} lines of the record could not be read.` : "";
    if (this.lost) {
      const how = "The page goes on by itself when training starts again in the same folder, or with: chainrule view FOLDER";
      say("not connected", "warn", `Nobody answers at this address; what was loaded is still here. ${how}`);
    } else if (!s) say("loading", "");
    else if (s.reason === "diverged") say("diverged", "bad", unread);
    else if (s.reason) say(`finished: ${s.reason}`, "finished", unread);
    else if (s.time === null) say("waiting for the first step", "");
    else if (this.silence() > Math.max(30, 20 * (s.seconds_per_step ?? 0))) say(`silent for ${duration(this.silence())}`, "warn", unread);
    else say("running", "running", unread);
  }

  silence() {
    return this.summary.now - this.summary.time + (performance.now() - this.reached) / 1000;
  }

  age() {
    if (this.summary && !document.hidden) this.status();
  }
}

function slug(panel) {
  return panel.title.toLowerCase().replaceAll(" ", "-");
}

setTheme(remembered("chainrule theme") ?? "auto");
new App().refresh();
