// The theme, and scales of colour that keep their order for eyes that see no difference of hue.

const themes = ["auto", "light", "dark"];
const darkness = window.matchMedia("(prefers-color-scheme: dark)");
const themeListeners = [];
let theme = "auto";

function remembered(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    return null; // a page from a file may have no store
  }
}

function remember(name, value) {
  try {
    localStorage.setItem(name, value);
  } catch {
    return;
  }
}

function setTheme(name) {
  theme = themes.includes(name) ? name : "auto";
  const dark = theme === "dark" || (theme === "auto" && darkness.matches);
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  byId("theme").textContent = `Theme: ${theme}`;
  remember("chainrule theme", theme);
  for (const listener of themeListeners) listener();
}

function css(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

function isDark() {
  return document.documentElement.dataset.theme === "dark";
}

// Points of viridis; a few are enough, with straight lines between.
const VIRIDIS = [
  [68, 1, 84], [71, 44, 122], [59, 81, 139], [44, 113, 142], [33, 144, 141],
  [39, 173, 129], [92, 200, 99], [170, 220, 50], [253, 231, 37],
];

function between(points, share) {
  const place = Math.min(Math.max(share, 0), 1) * (points.length - 1);
  const i = Math.min(Math.floor(place), points.length - 2);
  return points[i].map((v, c) => Math.round(v + (place - i) * (points[i + 1][c] - v)));
}

function viridis(share) {
  return between(VIRIDIS, share);
}

// From blue over the colour of the card to red: minus, zero, plus.
function diverging(share) {
  const middle = isDark() ? [26, 32, 41] : [247, 247, 247];
  const ends = isDark() ? [[96, 165, 250], [251, 113, 96]] : [[33, 102, 172], [178, 24, 43]];
  return between([ends[0], middle, ends[1]], share);
}

function rgb([r, g, b], alpha = 1) {
  return `rgb(${r} ${g} ${b} / ${alpha})`;
}

// The colour of one of many lines in order, with enough contrast to the card.
function ordered(i, count) {
  const share = count > 1 ? i / (count - 1) : 0.4;
  return rgb(viridis(isDark() ? 0.3 + 0.7 * share : 0.82 * share));
}
