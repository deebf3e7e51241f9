// Where the numbers come from: a server that is asked again and again, or this very page.

// The server is there, but has no answer.
class Refusal extends Error {}

class Unreachable extends Error {}

class LiveSource {
  constructor() {
    this.live = true;
  }

  async ask(name, question = {}) {
    const query = new URLSearchParams(question).toString();
    const address = query ? `${name}?${query}` : name;
    const answer = await fetch(address, { signal: AbortSignal.timeout(15000) }).catch((error) => {
      throw new Unreachable(String(error));
    });
    if (!answer.ok) throw new Refusal(`${name}: ${await answer.text()}`);
    return answer.json();
  }
}

class PageSource {
  constructor(content) {
    this.live = false;
    this.content = content;
  }

  async ask(name, question = {}) {
    if (name === "histograms" && "parameter" in question) {
      return this.content.ridges[String(question.parameter)];
    }
    return this.content[name];
  }
}

// Curves in buckets of 2**level steps. Only buckets that were not complete are asked for again.
class Curves {
  constructor(source, name) {
    Object.assign(this, { source, name });
    this.clear();
  }

  clear() {
    this.generation = null;
    this.level = -1;
    this.series = new Map();
    this.extra = {};
  }

  get last() {
    return Math.max(0, ...[...this.series.values()].map((s) => s.x.at(-1) ?? 0));
  }

  async update() {
    const width = 2 ** Math.max(this.level, 0);
    const start = this.level < 0 ? 0 : Math.floor(this.last / width) * width;
    const answer = await this.source.ask(this.name, { level: this.level, start });
    if (answer.generation !== this.generation && this.generation !== null && answer.start > 0) {
      this.clear(); // the run is another, or went back: nothing that is here counts
      await this.update();
      return;
    }
    const { generation, level, start: from, series, ...extra } = answer;
    if (from === 0) this.series = new Map();
    Object.assign(this, { generation, level, extra });
    for (const part of series) this.append(part, from);
  }

  append(part, from) {
    const key = JSON.stringify([part.chart, part.name]);
    const columns = ["x", "mean", "low", "high"].filter((column) => column in part);
    const whole = this.series.get(key);
    if (!whole) {
      this.series.set(key, part);
      return;
    }
    let keep = whole.x.length;
    while (keep > 0 && whole.x[keep - 1] >= from) keep -= 1;
    for (const column of columns) {
      whole[column].length = keep;
      for (const value of part[column]) whole[column].push(value);
    }
  }

  list() {
    return [...this.series.values()];
  }
}

// The same curves in finer buckets, for a part of the run that fills the plot.
async function zoomed(source, start, end) {
  const answer = await source.ask("curves", {
    start: Math.floor(start), end: Math.ceil(end) + 1, limit: 1000, level: 0,
  });
  return answer.series;
}

// What a person asked for by a click: without an answer, what is shown stays as it is, and the
// next regular question tells that nobody is there.
async function ifReached(answer) {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof Unreachable || error instanceof Refusal) return null;
    throw error;
  }
}

function openSource() {
  const kept = byId("data");
  return kept ? new PageSource(JSON.parse(kept.textContent)) : new LiveSource();
}
