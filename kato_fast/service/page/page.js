"use strict";
// One page, polled from data, session and predict beside it. Text from the server is only ever set as text.
(() => {
const EVERY = 2000, PATIENCE = 4000;
const $ = (id) => document.getElementById(id);

// ---- what is shown lives in the address ----
const DEFAULTS = { theme: "auto", quantile: "p99", range: "900", to: "", user: "", state: "", threshold: "0.1", hide: "", pause: "" };
const shown = { ...DEFAULTS };
for (const [key, value] of new URLSearchParams(location.search)) if (key in DEFAULTS) shown[key] = value;
function show(changes) {
  Object.assign(shown, changes);
  const kept = Object.entries(shown).filter(([key, value]) => value !== DEFAULTS[key]);
  const query = new URLSearchParams(kept).toString();
  history.replaceState(null, "", query ? "?" + query : location.pathname);
}

// ---- building ----
function el(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child != null));
  return node;
}
function text(node, value) { if (node.textContent !== value) node.textContent = value; }
// Rows keep their element while their key stays, so that the focus and a selection do too.
function fill(parent, rows, key, make) {
  const old = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  rows.forEach((row, i) => {
    const name = String(key(row)), print = JSON.stringify(row);
    let node = old.get(name);
    if (!node || node.dataset.print !== print) {
      const made = make(row);
      made.dataset.key = name; made.dataset.print = print;
      if (node && !node.contains(document.activeElement)) node.replaceWith(made);
      if (!node) parent.insertBefore(made, parent.children[i] || null);
      node = node && node.isConnected ? node : made;
    } else if (parent.children[i] !== node) parent.insertBefore(node, parent.children[i] || null);
    old.delete(name);
  });
  for (const gone of old.values()) gone.remove();
}
function none(id, rows, words) { $(id + "-none").hidden = rows.length > 0; text($(id + "-none"), rows.length ? "" : words); }

const clock = (t) => new Date(t * 1000).toLocaleTimeString([], { hour12: false });
const moment = (t) => new Date(t * 1000).toLocaleString([], { hour12: false });
const whole = (n) => n == null ? "–" : Math.round(n).toLocaleString("en");
const times = (n) => n === 1 ? "once" : `${whole(n)} times`;
function seconds(s) {
  if (s == null) return "–";
  if (s < 1e-3) return (s * 1e6).toFixed(s < 1e-5 ? 1 : 0) + " µs";
  return s < 1 ? (s * 1e3).toFixed(s < 1e-2 ? 2 : 1) + " ms" : s.toFixed(2) + " s";
}
function bytes(n) { return n && n < 1024 ? whole(n) + " B" : n >= 2 ** 30 ? (n / 2 ** 30).toFixed(2) + " GiB" : n >= 2 ** 20 || !n ? (n / 2 ** 20).toFixed(1) + " MiB" : (n / 1024).toFixed(1) + " KiB"; }
const UNITS = {
  seconds, bytes, percent: (n) => n.toFixed(1) + " %",
  "": (n) => Math.abs(n) >= 1000 ? whole(n) : String(Math.round(n * 100) / 100),
};

// Beside an axis: without zeros that say nothing, and bytes where their units are round.
const tick = (n, format) => n === 0 ? "0" : format(n).replace(/\.0+(?= )/, "");
const POWERS = Array.from({ length: 50 }, (_, i) => 2 ** i);

// ---- theme ----
const dark = matchMedia("(prefers-color-scheme: dark)");
function theme() {
  const name = shown.theme === "auto" ? (dark.matches ? "dark" : "light") : shown.theme;
  if (document.documentElement.dataset.theme !== name) {
    document.documentElement.dataset.theme = name;
    for (const chart of charts.values()) chart.redo = true;
    if (last) draw(last);
  }
}

// ---- charts ----
const charts = new Map();
let marks = [];
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const DASHES = [[], [8, 4], [2, 3], [], [8, 4], [2, 3]];
function markLines(u) {
  const { ctx, bbox } = u;
  ctx.save();
  ctx.strokeStyle = colour("--soft"); ctx.fillStyle = colour("--soft"); ctx.setLineDash([3, 3]);
  for (const mark of marks) {
    const x = Math.round(u.valToPos(mark.time, "x", true)) + 0.5;
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    ctx.beginPath(); ctx.moveTo(x, bbox.top); ctx.lineTo(x, bbox.top + bbox.height); ctx.stroke();
  }
  ctx.restore();
}
function options(spec, width) {
  const format = UNITS[spec.unit];
  const axis = { stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line") } };
  return {
    width, height: 210, legend: { show: false }, cursor: { y: false, drag: { x: true, y: false } },
    hooks: { draw: [markLines], setSelect: [dragged], setCursor: [pointed] },
    scales: { x: { time: true }, y: { range: (u, low, high) => [Math.min(0, low || 0), high > 0 ? high * 1.08 : 1] } },
    axes: [axis, { ...axis, size: 68, values: (u, ticks) => ticks.map((n) => tick(n, format)), incrs: spec.unit === "bytes" ? POWERS : undefined }],
    series: [{}, ...spec.series.map((series, i) => ({
      label: series.name, stroke: colour("--c" + (i % 6 + 1)), dash: DASHES[i % 6], width: 1.75, spanGaps: false,
      points: { show: false }, show: !hidden(spec.id, series.name),
    }))],
  };
}
function dragged(u) {
  if (u.select.width < 4) return;
  const from = u.posToVal(u.select.left, "x"), to = u.posToVal(u.select.left + u.select.width, "x");
  u.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
  look(Math.max(30, to - from), to);
}
function pointed(u) {
  const chart = [...charts.values()].find((one) => one.plot === u);
  if (chart) values(chart, u.cursor.idx);
}
const hideKey = (id, name) => id + "." + name;
const hidden = (id, name) => shown.hide.split(",").includes(hideKey(id, name));
function toggle(id, name, on) {
  const kept = new Set(shown.hide.split(",").filter(Boolean));
  kept[on ? "delete" : "add"](hideKey(id, name));
  show({ hide: [...kept].join(",") });
  charts.get(id).redo = true;
  draw(last);
}
function values(chart, at) {
  const { spec } = chart, format = UNITS[spec.unit];
  spec.series.forEach((series, i) => {
    let index = at;
    if (index == null) for (index = series.values.length - 1; index > 0 && series.values[index] == null;) index -= 1;
    const value = series.values[index];
    text(chart.values[i], value == null ? "–" : format(value));
  });
  const words = spec.series.map((series, i) => series.name + " " + chart.values[i].textContent).join(", ");
  if (at == null) chart.box.setAttribute("aria-label", `${spec.title}: ${words || "nothing yet"}`);
}
function chartOf(spec) {
  const box = el("div", { class: "plot", role: "img" }), keys = el("ul", { class: "keys" });
  const caption = el("figcaption");
  $("charts").append(el("figure", { id: "chart-" + spec.id }, caption, box, keys));
  return { box, keys, caption, values: [], plot: null, names: "" };
}
function plot(spec) {
  let chart = charts.get(spec.id);
  if (!chart) charts.set(spec.id, chart = chartOf(spec));
  chart.spec = spec;
  text(chart.caption, spec.title);
  const names = JSON.stringify(spec.series.map((series) => series.name));
  const data = [spec.time, ...spec.series.map((series) => series.values)];
  if (chart.names !== names) legend(chart, names);
  if (chart.redo || !chart.plot) {
    if (chart.plot) chart.plot.destroy();
    chart.plot = new uPlot(options(spec, chart.box.clientWidth || 300), data, chart.box);
    chart.redo = false;
  } else chart.plot.setData(data);
  values(chart, null);
}
function legend(chart, names) {
  chart.names = names; chart.redo = true; chart.values = [];
  chart.keys.replaceChildren(...chart.spec.series.map((series, i) => {
    const value = el("span", { class: "value" });
    const box = el("input", { type: "checkbox" });
    box.checked = !hidden(chart.spec.id, series.name);
    box.addEventListener("change", () => toggle(chart.spec.id, series.name, box.checked));
    chart.values.push(value);
    return el("li", {}, el("label", {}, box, el("span", { class: "swatch k" + i % 6 }), series.name, value));
  }));
}
function look(range, to) {
  const ends = to == null || to >= Date.now() / 1000 - 1 ? "" : String(Math.round(to));
  show({ range: String(Math.round(Math.min(1209600, Math.max(30, range)))), to: ends });
  choose("range", shown.range, seconds0(shown.range));
  poll();
}
const seconds0 = (range) => Math.round(range / 60 * 10) / 10 + " minutes";
function choose(id, value, words) {
  const select = $(id);
  if (![...select.options].some((option) => option.value === value)) select.add(new Option(words || value, value));
  select.value = value;
}

// ---- what the server says ----
let last = null, lastAt = 0, timer = 0, asking = null;
function query() {
  const width = Math.max(100, Math.min(1000, Math.round($("charts").clientWidth / 2)));
  const asked = { range: shown.range, quantile: shown.quantile, points: String(width) };
  if (shown.to) asked.to = shown.to;
  return new URLSearchParams(asked);
}
async function ask(path, init, wait) {
  const answer = await fetch(path, { ...init, signal: init && init.signal || AbortSignal.timeout(wait || PATIENCE), cache: "no-store" });
  const body = await answer.json().catch(() => null);
  if (!answer.ok || body == null) throw new Error(reason(body) || "the server answered " + answer.status);
  return body;
}
const reason = (body) => body && (typeof body.detail === "string" ? body.detail : body.detail && body.detail[0] && body.detail[0].msg);
async function poll() {
  clearTimeout(timer);
  if (asking) asking.abort();
  const mine = asking = new AbortController();
  const late = setTimeout(() => mine.abort(), PATIENCE);
  try {
    const data = await ask("data?" + query(), { signal: mine.signal });
    lastAt = Date.now() / 1000;
    fresh();
    draw(data);
  } catch (error) {
    if (asking === mine) stale(error);
  }
  clearTimeout(late);
  if (asking === mine) {
    asking = null;
    if (!shown.pause && !document.hidden) timer = setTimeout(poll, EVERY);
  }
}
function fresh() {
  $("stale").hidden = true;
  document.body.classList.remove("is-stale");
}
function stale(error) {
  const why = error.name === "AbortError" || error.name === "TypeError" ? "the server does not answer" : error.message;
  text($("stale"), (lastAt ? `Stale since ${clock(lastAt)}: ` : "Nothing yet: ") + why + ". Trying again every 2 seconds.");
  $("stale").hidden = false;
  document.body.classList.add("is-stale");
  text($("live"), lastAt ? "stale since " + clock(lastAt) : "no answer");
}
function draw(data) {
  last = data;
  text($("version"), data.version);
  text($("live"), shown.pause ? "paused at " + clock(data.time) : `live, ${data.workers} worker${data.workers > 1 ? "s" : ""}`);
  for (const [id, said] of Object.entries(data.answers)) {
    const box = $(id);
    box.className = said.state;
    text(box.querySelector(".answer"), said.answer);
    text(box.querySelector(".why"), said.why);
  }
  marks = data.marks;
  text($("window"), `${moment(data.window.from)} to ${moment(data.window.to)}, ${whole(data.window.held)} samples held` + (shown.to ? "" : ", live"));
  const inside = marks.filter((mark) => mark.time >= data.window.from && mark.time <= data.window.to);
  text($("marks"), inside.length ? "Marks: " + inside.slice(-8).map((mark) => clock(mark.time) + " " + mark.text).join("; ") : "No deploy or switch in this window.");
  for (const spec of data.charts) plot(spec);
  tables(data);
  text($("about"), data.about);
  fill($("users"), data.users, (user) => user, (user) => el("option", { value: user }));
}
const cell = (value, kind) => el("td", kind ? { class: kind } : {}, value == null ? "–" : String(value));
function tables(data) {
  fill($("flags"), data.flags, (row) => row.flag, (row) => el("tr", {}, el("th", { scope: "row" }, row.flag),
    cell(row.mode), cell(row.origin, "wraps"), cell(whole(row.calls)), cell(whole(row.fallbacks), row.fallbacks ? "warn-text" : ""),
    cell(whole(row.compared)), cell(whole(row.differences), row.differences ? "bad-text" : ""), cell(row.canary, "wraps")));
  none("flags", data.flags, "Not in use: this service runs its own engine on every path.");
  fill($("differences"), data.differences, (row) => row.id, (row) => el("li", {}, `${moment(row.time)} ${row.flag}: ${row.text} `,
    row.replay ? el("a", { href: row.replay, download: true }, "replay file " + row.id) : null));
  none("differences", data.differences, data.words.differences);
  fill($("fallbacks"), data.fallbacks, (row) => row.flag + row.reason, (row) => el("li", {}, `${row.flag}: ${row.reason}, ${times(row.count)}` + (row.where ? `, ${row.where}` : "")));
  none("fallbacks", data.fallbacks, data.words.fallbacks);
  const bad = data.alerts.filter((row) => row.state !== "ok"), fine = data.alerts.filter((row) => row.state === "ok");
  fill($("alerts"), bad, (row) => row.name, (row) => el("li", {}, el("b", { class: row.state === "firing" ? "bad-text" : "warn-text" }, row.state), ` ${row.name}: ${row.text}`));
  text($("alerts-fine"), fine.length ? `Fine: ${fine.map((row) => row.name).join(", ")}.` : "");
  fill($("pools"), data.pools, (row) => row.name, (row) => el("li", {}, el("b", {}, row.name), `: ${row.text}`));
  none("pools", data.pools, data.words.pools);
  fill($("endpoints"), data.endpoints, (row) => row.name, (row) => el("tr", {}, el("th", { scope: "row" }, row.name), cell(whole(row.calls)),
    cell(whole(row.errors), row.errors ? "bad-text" : ""), cell(seconds(row.p50)), cell(seconds(row.p95)), cell(seconds(row.p99)), cell(seconds(row.p999))));
  none("endpoints", data.endpoints, "No request yet.");
  fill($("workers"), data.processes, (row) => row.worker, (row) => el("tr", {}, el("th", { scope: "row" }, String(row.worker)),
    cell(row.cpu_percent == null ? null : row.cpu_percent.toFixed(1) + " %"), cell(seconds(row.cpu_seconds)),
    cell(bytes(row.resident_bytes || 0)), cell(bytes(row.peak_resident_bytes || 0))));
  none("workers", data.processes, "No sample yet.");
  const { bytes: held, patterns } = data.engine;
  text($("engine"), `The engines hold ${bytes(held)} for ${whole(patterns)} patterns` + (patterns ? `, ${bytes(held / patterns)} each.` : "."));
  $("kill").hidden = !!data.killed; $("revive").hidden = !data.killed;
  text($("kill-state"), data.killed ? "The kill switch is on: " + data.killed : data.words.kill);
}

// ---- the kill switch ----
function confirmed(title, words, word) {
  const dialog = $("confirm"), input = $("confirm-input"), yes = $("confirm-yes");
  text($("confirm-title"), title); text($("confirm-text"), words); text($("confirm-word"), word);
  input.value = ""; yes.disabled = true;
  input.oninput = () => { yes.disabled = input.value.trim() !== word; };
  dialog.returnValue = "cancel";
  dialog.showModal();
  input.focus();
  return new Promise((done) => { dialog.onclose = () => done(dialog.returnValue === "yes" && input.value.trim() === word); });
}
// Enter in the text field would press the form's first button, which is Cancel.
$("confirm-input").addEventListener("keydown", (event) => {
  if (event.key !== "Enter") return;
  event.preventDefault();
  if (!$("confirm-yes").disabled) $("confirm-yes").click();
});
async function kill(on) {
  const word = on ? "kill" : "release";
  const words = on ? "Every flag goes to its original path, in every worker, within a second. Nothing is lost."
    : "Flags take the modes again that they had before.";
  if (!await confirmed(on ? "Switch everything off?" : "Release the kill switch?", words, word)) return;
  try {
    await ask("kill", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ confirm: word }) });
  } catch (error) { text($("kill-state"), error.message); return; }
  poll();
}

// ---- a session ----
let sessionAsked = null, typing = 0;
function events(line) {
  return line.split("|").map((event) => event.trim().split(/\s+/).filter(Boolean)).filter((event) => event.length);
}
async function predict() {
  if (sessionAsked) sessionAsked.abort();
  const mine = sessionAsked = new AbortController();
  if (!shown.user) { text($("found"), "Name a user or a session, such as one of the list."); $("predictions").replaceChildren(); text($("memory"), ""); return; }
  const body = { user: shown.user, threshold: Number(shown.threshold), state: events(shown.state) };
  const late = setTimeout(() => mine.abort(), PATIENCE);
  try {
    session(await ask("predict", { method: "POST", signal: mine.signal, headers: { "content-type": "application/json" }, body: JSON.stringify(body) }));
  } catch (error) {
    if (sessionAsked !== mine) return;
    text($("found"), error.name === "AbortError" || error.name === "TypeError" ? "The server does not answer." : error.message);
    $("predictions").replaceChildren();
    text($("memory"), "");
  } finally { clearTimeout(late); }
}
function session(said) {
  text($("memory"), "");
  $("memory").append(said.typed ? "Typed: " : "Memory: ", ...(said.state.length ? said.state.flatMap((event) => [el("span", { class: "chip" }, event.join(" ")), " "]) : ["empty"]));
  text($("found"), said.note || `${whole(said.matched)} patterns match, the first ${said.predictions.length} are drawn (${seconds(said.seconds)}, ${whole(said.patterns)} patterns known).`);
  fill($("predictions"), said.predictions, (one) => one.name, prediction);
}
const KINDS = { matched: "matched", missing: "missing", extra: "extra", past: "past", future: "future" };
function prediction(one) {
  const pattern = el("tr", {}, el("th", { scope: "row" }, "pattern")), state = el("tr", {}, el("th", { scope: "row" }, "state"));
  let event = null, other = null;
  for (const column of one.columns) {
    const begins = column.pattern != null && column.event !== event, starts = column.state != null && column.of !== other;
    pattern.append(symbol(column.pattern, column.kind, begins, starts));
    state.append(symbol(column.state, column.kind === "matched" ? "matched" : "extra", starts, begins));
    if (column.pattern != null) event = column.event;
    if (column.state != null) other = column.of;
  }
  const figures = `similarity ${one.similarity.toFixed(3)}, confidence ${one.confidence.toFixed(3)}, seen ${times(one.frequency)}`;
  return el("li", {}, el("h3", {}, el("b", {}, "potential " + one.potential.toFixed(3)), `, ${figures}, ${one.name.slice(0, 12)}`),
    el("div", { class: "strip", tabindex: "0", role: "region", "aria-label": "Alignment with pattern " + one.name.slice(0, 12) }, el("table", {}, el("tbody", {}, pattern, state))));
}
// A bar stands where an event begins; the other row keeps the room for it, so that columns stay in line.
function symbol(word, kind, begins, room) {
  const cell = el("td", { class: begins ? "event begins" : room ? "event" : null });
  if (word != null) {
    const said = el("span", { class: "hidden-text" }, ` (${KINDS[kind]})`);
    cell.append(el("span", { class: "chip " + kind, title: word }, word === "" ? "''" : word, said));
  }
  return cell;
}

// ---- controls ----
function wire() {
  choose("theme", shown.theme); choose("quantile", shown.quantile); choose("range", shown.range, seconds0(shown.range));
  $("user").value = shown.user; $("state").value = shown.state; $("threshold").value = shown.threshold;
  $("theme").onchange = (event) => { show({ theme: event.target.value }); theme(); };
  $("quantile").onchange = (event) => { show({ quantile: event.target.value }); poll(); };
  $("range").onchange = (event) => look(Number(event.target.value), shown.to ? Number(shown.to) : null);
  const range = () => Number(shown.range), end = () => Number(shown.to) || Date.now() / 1000;
  $("earlier").onclick = () => look(range(), end() - range() / 2);
  $("later").onclick = () => look(range(), end() + range() / 2);
  $("closer").onclick = () => look(range() / 2, shown.to ? end() - range() / 4 : null);
  $("wider").onclick = () => look(range() * 2, shown.to ? end() + range() / 2 : null);
  $("now").onclick = () => look(range(), null);
  $("pause").onclick = () => { show({ pause: shown.pause ? "" : "1" }); paused(); poll(); };
  $("kill").onclick = () => kill(true);
  $("revive").onclick = () => kill(false);
  $("asked").onsubmit = (event) => { event.preventDefault(); asked(); };
  for (const id of ["user", "state", "threshold"]) $(id).oninput = () => { clearTimeout(typing); typing = setTimeout(asked, 150); };
  dark.addEventListener("change", theme);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) poll(); });
  new ResizeObserver(() => {
    for (const chart of charts.values()) if (chart.plot && chart.box.clientWidth) chart.plot.setSize({ width: chart.box.clientWidth, height: 210 });
  }).observe($("charts"));
}
function paused() {
  $("pause").setAttribute("aria-pressed", String(!!shown.pause));
  text($("pause"), shown.pause ? "Paused" : "Pause");
}
function asked() {
  show({ user: $("user").value.trim(), state: $("state").value, threshold: $("threshold").value || "0.1" });
  predict();
}
document.head.append(el("link", { rel: "stylesheet", href: "vendor/uPlot.css" })); // after the first paint
wire(); paused(); theme(); poll(); predict();
})();
