// The cluster's live picture, drawn from the rows that the server sends. One module for JupyterLab's panel and for the notebook's widget (anywidget),
// which is why it imports nothing. In: messages of lab_checks/face/live/hub.py. Out: DOM under one element.

const SYSTEM = new Set(["kube-system", "kube-public", "kube-node-lease", "local-path-storage"]);
const FRESH_FOR = 4000; // milliseconds that a change stays marked once it can be seen
const NAMES_UP_TO = 10; // Pods on a node that are shown by name; above, by their sign alone
const EVENTS_SHOWN = 30;

// How each tone is drawn: a sign besides the colour, for people who do not tell the colours apart (Okabe and Ito).
const TONES = {
  ready: { sign: "✔", told: "Ready" },
  starting: { sign: "◐", told: "starting, not Ready" },
  waiting: { sign: "…", told: "waits for a node" },
  trouble: { sign: "✘", told: "in trouble" },
  done: { sign: "■", told: "done" },
  leaving: { sign: "↘", told: "is being deleted" },
};
// The scheduler's filters that the server works out, in the order in which a node is asked.
const FILTERS = ["NodeUnschedulable", "TaintToleration", "NodeAffinity", "NodeResourcesFit"];

export const STYLE = `
.ai-lab { --good:#009E73; --warn:#E69F00; --bad:#D55E00; --info:#0072B2; --gone:#CC79A7; --none:#888;
  --ink:var(--jp-ui-font-color1,#1a1a1a); --soft:var(--jp-ui-font-color1,#333); --paper:var(--jp-layout-color1,#fff);
  --edge:var(--jp-border-color1,#bbb); --lift:var(--jp-layout-color2,#f2f2f2);
  color:var(--ink); background:var(--paper); font-family:var(--jp-ui-font-family,system-ui,sans-serif); font-size:13px; line-height:1.4; }
.ai-lab *, .ai-lab { box-sizing:border-box; }
.ai-lab h2 { font-size:15px; margin:14px 0 6px; font-weight:600; color:var(--ink); }
.ai-lab h3 { font-size:13px; margin:0; font-weight:600; color:var(--ink); overflow-wrap:anywhere; }
.ai-lab p { margin:2px 0; }
.ai-lab ul, .ai-lab ol { list-style:none; margin:0; padding:0; }
.ai-lab code { font-family:var(--jp-code-font-family,monospace); font-size:12px; overflow-wrap:anywhere; color:var(--ink); background:none; padding:0; }
.ai-lab button { font:inherit; color:var(--ink); background:var(--lift); border:1px solid var(--edge); border-radius:4px; padding:3px 10px; cursor:pointer; min-height:26px; }
.ai-lab button:hover:not(:disabled) { border-color:var(--info); }
.ai-lab button:disabled { opacity:.55; cursor:default; }
.ai-lab button:focus-visible, .ai-lab a:focus-visible, .ai-lab [tabindex]:focus-visible, .ai-lab input:focus-visible { outline:3px solid var(--info); outline-offset:1px; }
.ai-lab button.main { background:var(--info); color:#fff; border-color:var(--info); font-weight:600; }
.ai-lab .row { display:flex; flex-wrap:wrap; gap:6px 10px; align-items:center; }
.ai-lab .note { border-left:6px solid var(--none); padding:4px 10px; margin:4px 0; background:var(--lift); overflow-wrap:anywhere; }
.ai-lab .quiet { color:var(--soft); font-size:12px; }
.ai-lab-picture { padding:8px 12px; container-type:inline-size; overflow:auto; height:100%; }
.ai-lab-picture .nodes { display:grid; grid-template-columns:repeat(auto-fill,minmax(210px,1fr)); gap:8px; }
.ai-lab-picture .node { border:1px solid var(--edge); border-top:4px solid var(--good); border-radius:4px; padding:6px 8px; min-width:0; }
.ai-lab-picture .node[data-ready=no] { border-top-color:var(--bad); border-top-style:dashed; }
.ai-lab-picture .node[data-ready=none] { border-top-color:var(--none); border-style:dashed; }
.ai-lab-picture .gpus { display:flex; flex-wrap:wrap; gap:4px; margin:4px 0; align-items:center; }
.ai-lab-picture .pods { display:flex; flex-wrap:wrap; gap:3px; margin-top:5px; }
.ai-lab-picture .pod { min-height:22px; min-width:22px; padding:0 5px; border:2px solid var(--none); background:var(--paper); font-size:12px; line-height:18px;
  max-width:100%; overflow-wrap:anywhere; text-align:left; }
.ai-lab-picture .pod[data-dense=yes] { width:22px; padding:0; text-align:center; }
.ai-lab-picture .pod[data-tone=ready] { border-color:var(--good); }
.ai-lab-picture .pod[data-tone=starting] { border-color:var(--warn); border-style:double; }
.ai-lab-picture .pod[data-tone=waiting] { border-color:var(--none); border-style:dashed; }
.ai-lab-picture .pod[data-tone=trouble] { border-color:var(--bad); border-width:3px; }
.ai-lab-picture .pod[data-tone=done] { border-color:var(--info); }
.ai-lab-picture .pod[data-tone=leaving] { border-color:var(--gone); border-style:dotted; }
.ai-lab-picture .pod[aria-pressed=true] { background:var(--lift); font-weight:600; }
.ai-lab .fresh { box-shadow:0 0 0 3px #F0E442; }
.ai-lab .meters { display:grid; grid-template-columns:repeat(auto-fit,minmax(118px,1fr)); gap:0 8px; }
.ai-lab .meter { height:6px; background:var(--lift); border:1px solid var(--edge); margin:1px 0 3px; }
.ai-lab .meter > div { height:100%; background:var(--info); }
.ai-lab-picture svg text { fill:var(--ink); font-family:inherit; font-size:12px; }
.ai-lab-picture .event { padding:2px 6px; border-left:4px solid var(--none); margin:2px 0; overflow-wrap:anywhere; }
.ai-lab-picture .event[data-warning=yes] { border-left-color:var(--warn); }
.ai-lab-picture .filters li { display:flex; flex-wrap:wrap; align-items:center; gap:0 10px; padding:3px 0; border-top:1px solid var(--edge); }
.ai-lab-picture .filters .at { flex:0 1 150px; }
.ai-lab-picture .filters li > span { flex:1 1 180px; overflow-wrap:anywhere; }
.ai-lab-picture .filters svg { flex:none; }
.ai-lab-picture .legend > span { white-space:nowrap; margin-right:12px; }
.ai-lab-picture .system { display:inline-flex; gap:5px; align-items:center; margin:4px 0 8px; }
.ai-lab-picture figure { margin:6px 0; }
.ai-lab-picture figure svg { display:block; width:100%; max-width:440px; }
.ai-lab .unseen { position:absolute; width:1px; height:1px; overflow:hidden; clip-path:inset(50%); white-space:nowrap; }
.ai-lab-tip { position:fixed; z-index:10000; max-width:360px; padding:6px 10px; border:1px solid; border-radius:4px; pointer-events:none; overflow-wrap:anywhere; }
@media (prefers-reduced-motion:no-preference) { .ai-lab .fresh { transition:box-shadow .4s; } }
`;

/** An element: h("p", {class: "quiet"}, "words", child). `on` holds listeners; null and false children are left out. */
export function h(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "on") for (const [event, act] of Object.entries(value)) made.addEventListener(event, act);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value != null) made.setAttribute(name, value);
  }
  made.append(...children.flat().filter((each) => each != null && each !== false));
  return made;
}

function svg(tag, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children.filter((each) => each != null));
  return made;
}

/** Puts the course's style into a document, or a shadow root, once. */
export function dress(root = document) {
  const place = root === document ? document.head : root;
  if (!place.querySelector("style[data-ai-lab]")) place.append(h("style", { "data-ai-lab": "" }, STYLE));
}

// What JupyterLab's page says of its server; empty outside of JupyterLab.
function page() {
  const found = document.getElementById("jupyter-config-data");
  try {
    return found ? JSON.parse(found.textContent) : {};
  } catch {
    return {};
  }
}

/**
 * The line to the server, one for a browser window, whoever asks first. `on(kind, hear)` hears messages of a kind, the newest one at once where one
 * was told before; `ask(verb, fields)` is a promise of the answer. Null outside of JupyterLab.
 */
export function line() {
  const name = Symbol.for("ai-lab.line");
  if (globalThis[name]) return globalThis[name];
  const { baseUrl, token } = page();
  if (baseUrl === undefined) return null;
  const hearers = new Map();
  const waiting = new Map();
  const last = new Map();
  const sections = {};
  let socket = null;
  let number = 0;
  let pause = 500;

  function tell(kind, message) {
    for (const hear of hearers.get(kind) ?? []) hear(message);
  }

  function merge(message) {
    if (message.whole) for (const section of Object.keys(sections)) delete sections[section];
    for (const [section, { set, gone }] of Object.entries(message.sections)) {
      const rows = (sections[section] ??= new Map());
      for (const key of gone) rows.delete(key);
      for (const [key, row] of Object.entries(set)) rows.set(key, row);
    }
  }

  function open() {
    const address = new URL(`${baseUrl}ai-lab/live${token ? `?token=${encodeURIComponent(token)}` : ""}`, location.href);
    address.protocol = address.protocol.replace("http", "ws");
    socket = new WebSocket(address);
    socket.onmessage = (event) => {
      const message = JSON.parse(event.data);
      pause = 500;
      if (message.kind === "answer") {
        waiting.get(message.id)?.(message);
        waiting.delete(message.id);
        return;
      }
      if (message.kind === "cluster") merge(message);
      else last.set(message.kind, message);
      tell(message.kind, message);
    };
    socket.onclose = () => {
      for (const answer of waiting.values()) answer({ problem: "JupyterLab's server does not answer.", next: "ai-lab open" });
      waiting.clear();
      tell("state", { kind: "state", state: "away", what: "JupyterLab's server does not answer.", next: "ai-lab open" });
      setTimeout(open, pause);
      pause = Math.min(pause * 2, 8000);
    };
  }

  open();
  return (globalThis[name] = {
    sections,
    on(kind, hear) {
      if (!hearers.has(kind)) hearers.set(kind, new Set());
      hearers.get(kind).add(hear);
      if (kind === "cluster") hear({ sections: asNews(sections), whole: true });
      else if (kind !== "verdict" && kind !== "said" && last.has(kind)) hear(last.get(kind));
      return () => hearers.get(kind).delete(hear);
    },
    ask(verb, fields = {}) {
      return new Promise((resolve) => {
        if (socket.readyState !== WebSocket.OPEN) {
          resolve({ problem: "JupyterLab's server does not answer.", next: "ai-lab open" });
          return;
        }
        number += 1;
        waiting.set(number, resolve);
        socket.send(JSON.stringify({ id: number, verb, ...fields }));
      });
    },
  });
}

function asNews(sections) {
  return Object.fromEntries(Object.entries(sections).map(([name, rows]) => [name, { set: Object.fromEntries(rows), gone: [] }]));
}

function lasted(seconds) {
  if (seconds < 90) return `${Math.max(0, Math.round(seconds))} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${Math.round(seconds / 3600)} h`;
}

const mib = (bytes) => `${Math.round(bytes / 1048576)} MiB`;
const clock = (at) => new Date(at * 1000).toTimeString().slice(0, 8);

// Small pictures

/** One GPU in words. `device`, `claim` and `parts` are there where a DRA driver offers it. */
function gpuWords(gpu) {
  const name = gpu.device ? `GPU ${gpu.device}` : "GPU";
  if (gpu.state === "part") return `${name} held in parts (${gpu.parts.join(", ")}), ${Math.round(gpu.share * 100)}% of its memory, by ${gpu.by} (ResourceClaim ${gpu.claim})`;
  if (gpu.state === "held") return `${name} held by ${gpu.by}${gpu.claim ? ` (ResourceClaim ${gpu.claim})` : ""}`;
  return `${name} ${gpu.state}`;
}

/** One GPU: a card that is free (outlined), held (filled, with a dot), held in parts (filled as far) or unhealthy (crossed out). */
function gpuPicture(gpu) {
  const told = gpuWords(gpu);
  const colour = { held: "var(--info)", part: "var(--info)", free: "var(--good)", unhealthy: "var(--bad)" }[gpu.state];
  const body = svg("rect", { x: 2, y: 3, width: 26, height: 16, rx: 2, fill: gpu.state === "held" ? colour : "none", stroke: colour, "stroke-width": 2 });
  const pins = svg("path", { d: "M6 19v3M12 19v3M18 19v3M24 19v3", stroke: colour, "stroke-width": 2 });
  const mark = {
    unhealthy: () => svg("path", { d: "M4 4L26 18M26 4L4 18", stroke: colour, "stroke-width": 2 }),
    held: () => svg("circle", { cx: 15, cy: 11, r: 4, fill: "#fff" }),
    part: () => svg("rect", { x: 2, y: 3, width: Math.max(26 * gpu.share, 4), height: 16, rx: 2, fill: colour }),
  }[gpu.state];
  const drawn = svg("svg", { width: 30, height: 23, viewBox: "0 0 30 23", role: "img", "aria-label": told, "data-gpu": gpu.state, "data-device": gpu.device ?? "" });
  drawn.append(svg("title", {}, told), body, pins);
  if (mark) drawn.append(mark());
  return drawn;
}

/** A node's GPUs. Where the device plugin and a DRA driver both offer some, each has a row of its own: the API does not say which are the same. */
function gpuRows(gpus) {
  const ways = [["ResourceSlice", gpus.filter((each) => each.device)], ["nvidia.com/gpu", gpus.filter((each) => !each.device)]].filter(([, some]) => some.length);
  return ways.map(([way, some]) => {
    const held = some.filter((each) => each.state === "held" || each.state === "part").length;
    const row = h("div", { class: "gpus", role: "group", "aria-label": `${some.length} GPUs by ${way}, ${held} held` }, some.map(gpuPicture));
    if (way === "ResourceSlice" || ways.length > 1) row.append(h("span", { class: "quiet" }, `by ${way}`));
    return row;
  });
}

const TONE_COLOURS = { ready: "#009E73", starting: "#E69F00", waiting: "#888888", trouble: "#D55E00", done: "#0072B2", leaving: "#CC79A7" };

// Units across a drawing. It stays small, and words stand beside it as text: in a narrow panel letters of a drawing would shrink with it.
const WIDTH = 300;

/** A Pod's life: one bar from its creation until now, a piece for each state; the same as a list for people who do not see it. */
export function lifePicture(life, now) {
  const steps = life.filter((step) => step.since);
  if (!steps.length) return h("p", { class: "quiet" }, "Nothing is known of its life yet.");
  const begin = steps[0].since;
  const whole = Math.max(now - begin, 1);
  const pieces = steps.map((step, at) => ({ ...step, from: step.since - begin, until: (steps[at + 1]?.since ?? now) - begin }));
  const drawn = svg("svg", { viewBox: `0 0 ${WIDTH} 44`, role: "img", "aria-label": `life of the Pod, ${lasted(whole)}` });
  for (const piece of pieces) {
    const x = (piece.from / whole) * WIDTH;
    const width = Math.max(((piece.until - piece.from) / whole) * WIDTH, 3);
    drawn.append(svg("rect", { x, y: 4, width, height: 20, fill: TONE_COLOURS[piece.tone], stroke: "var(--paper)" }, svg("title", {}, `${piece.word}: ${lasted(piece.until - piece.from)}`)));
    if (width > 18) drawn.append(svg("text", { x: x + 3, y: 40 }, TONES[piece.tone].sign));
  }
  const list = h("ol", {}, pieces.map((piece) => h("li", {}, `${TONES[piece.tone].sign} ${clock(piece.since)} ${piece.word}, ${lasted(piece.until - piece.from)}`)));
  return h("figure", { "data-life": pieces.length }, drawn, list);
}

function way(points, x, y) {
  return points.map(([at, value], number) => `${number ? "L" : "M"}${x(at).toFixed(1)} ${y(value).toFixed(1)}`).join("");
}

/** Memory of one container against its limit, until the kill. `points` are [seconds, bytes]. */
export function memoryPicture(name, points, limit, kills) {
  const from = points[0][0];
  const until = Math.max(points.at(-1)[0], from + 10);
  const most = Math.max(limit, ...points.map((each) => each[1])) * 1.1;
  const x = (at) => 2 + ((at - from) / (until - from)) * (WIDTH - 4);
  const y = (bytes) => 80 - (bytes / most) * 74;
  const within = kills.filter((each) => each.at >= from - 2 && each.at <= until + 2);
  const now = `now ${mib(points.at(-1)[1])}`;
  const end = within.length ? `✘ OOMKilled at ${clock(within.at(-1).at)}` : "";
  const told = `memory of ${name}: ${now}, limit ${mib(limit)}${end ? `, ${end}` : ""}`;
  const drawn = svg("svg", { viewBox: `0 0 ${WIDTH} 84`, role: "img", "aria-label": told, "data-memory": name });
  drawn.append(svg("title", {}, told));
  drawn.append(svg("line", { x1: 2, x2: WIDTH - 2, y1: y(limit), y2: y(limit), stroke: "#D55E00", "stroke-width": 2, "stroke-dasharray": "6 4" }));
  drawn.append(svg("path", { d: way(points, x, y), fill: "none", stroke: "#0072B2", "stroke-width": 2 }));
  for (const kill of within) {
    const at = Math.min(Math.max(x(kill.at), 8), WIDTH - 8);
    drawn.append(svg("path", { d: `M${at - 5} ${y(limit) - 5}l10 10m0 -10l-10 10`, stroke: "#D55E00", "stroke-width": 3 }));
  }
  return h("figure", {}, h("figcaption", {}, name), h("div", { class: "quiet" }, `${now} (line), limit ${mib(limit)} (dashes)`), end ? h("div", {}, end) : null, drawn);
}

/** One measured value over time. */
function loadPicture(name, { unit, points }) {
  const from = points[0][0];
  const until = Math.max(points.at(-1)[0], from + 10);
  const most = Math.max(...points.map((each) => each[1]), 0.001) * 1.1;
  const newest = points.at(-1)[1];
  const told = `${name}: now ${newest.toPrecision(3)} ${unit}, most ${(most / 1.1).toPrecision(3)} ${unit}`;
  const drawn = svg("svg", { viewBox: `0 0 ${WIDTH} 64`, role: "img", "aria-label": told, "data-load": name });
  drawn.append(svg("title", {}, told));
  drawn.append(svg("line", { x1: 2, x2: WIDTH - 2, y1: 60, y2: 60, stroke: "currentColor", "stroke-opacity": 0.4 }));
  drawn.append(svg("path", { d: way(points, (at) => 2 + ((at - from) / (until - from)) * (WIDTH - 4), (value) => 60 - (value / most) * 54), fill: "none", stroke: "#0072B2", "stroke-width": 2 }));
  return h("figure", {}, h("figcaption", {}, name), h("div", { class: "quiet" }, `now ${newest.toPrecision(3)} ${unit}`), drawn);
}

/** What each node answers to a Pod that waits: a row a node, the filters as stations; the first no ends the way. */
export function filterPicture(pod) {
  const rows = pod.filters.map((answer) => {
    const stop = FILTERS.indexOf(answer.filter);
    const last = stop < 0 ? FILTERS.length - 1 : stop;
    const told = stop < 0 ? `${answer.node}: no filter shown here says no` : `${answer.node}: ${answer.filter} says no: ${answer.says} (${answer.detail})`;
    const drawn = svg("svg", { width: 132, height: 22, viewBox: "0 0 132 22", role: "img", "aria-label": told, "data-stop": answer.filter || "none" });
    drawn.append(svg("title", {}, told));
    drawn.append(svg("line", { x1: 12, x2: 12 + last * 36, y1: 11, y2: 11, stroke: stop < 0 ? "#009E73" : "#888", "stroke-width": 2 }));
    FILTERS.forEach((_, at) => {
      const x = 12 + at * 36;
      if (at === stop) {
        drawn.append(svg("rect", { x: x - 8, y: 3, width: 16, height: 16, fill: "var(--paper)", stroke: "#D55E00", "stroke-width": 2 }));
        drawn.append(svg("path", { d: `M${x - 4} 7l8 8m0 -8l-8 8`, stroke: "#D55E00", "stroke-width": 3 }));
      } else if (at < last || stop < 0) {
        drawn.append(svg("circle", { cx: x, cy: 11, r: 7, fill: "var(--paper)", stroke: "#009E73", "stroke-width": 2 }));
        drawn.append(svg("path", { d: `M${x - 3} 11l2.5 3l4 -6`, fill: "none", stroke: "#009E73", "stroke-width": 2 }));
      } else {
        drawn.append(svg("circle", { cx: x, cy: 11, r: 3, fill: "none", stroke: "#888" }));
      }
    });
    const words = stop < 0 ? h("span", {}, "no filter shown here says no") : h("span", {}, h("b", {}, answer.says), " ", h("span", { class: "quiet" }, answer.detail));
    return h("li", {}, h("b", { class: "at" }, answer.node), drawn, words);
  });
  return h(
    "div", { class: "filters", "data-filters": pod.name },
    h("h3", {}, `${pod.namespace}/${pod.name} is ${pod.state}`),
    h("p", { class: "quiet" }, "Each node is asked in this order: ", FILTERS.join(" → ")),
    h("ul", {}, rows),
    pod.why ? h("p", { class: "quiet" }, "The scheduler: ", h("code", {}, pod.why)) : null,
  );
}

// The whole picture

let tip = null;

/** The one box for words on what the mouse or the focus is at. It does not move with what it is about, so it goes when that is scrolled. */
function tipBox() {
  if (!tip) {
    tip = document.body.appendChild(h("div", { class: "ai-lab ai-lab-tip", role: "tooltip", id: "ai-lab-tip" }));
    document.addEventListener("scroll", () => (tip.hidden = true), { capture: true, passive: true });
  }
  return tip;
}

function hover(element, words) {
  const show = () => {
    // What was chosen is told in full below.
    if (element.getAttribute("aria-pressed") === "true") return;
    tipBox();
    tip.textContent = words();
    tip.owner = element;
    tip.hidden = false;
    const place = element.getBoundingClientRect();
    tip.style.left = `${Math.max(4, Math.min(place.left, innerWidth - 370))}px`;
    tip.style.top = `${place.bottom + 6 + tip.offsetHeight > innerHeight ? place.top - tip.offsetHeight - 6 : place.bottom + 6}px`;
  };
  const hide = () => {
    if (tip) tip.hidden = true;
  };
  for (const event of ["mouseenter", "focus"]) element.addEventListener(event, show);
  for (const event of ["mouseleave", "blur", "click"]) element.addEventListener(event, hide);
}

const podWords = (pod) =>
  `${pod.namespace}/${pod.name}: ${pod.state}${pod.why ? `. ${pod.why}` : ""}${pod.gpus ? `. Asks for ${pod.gpus} GPU` : ""}${pod.claimed.length ? `. Holds ${pod.claimed.join(", ")} by ResourceClaim` : ""}${pod.restarts ? `. ${pod.restarts} restarts` : ""}`;

// What of a row counts as a change worth a mark: what moves all the time (memory, samples) does not.
const told = {
  nodes: (row) => JSON.stringify([row.ready, row.cordoned, row.taints, row.gpus]),
  pods: (row) => JSON.stringify([row.state, row.node, row.restarts]),
  services: (row) => JSON.stringify([row.ready, row.not_ready]),
  events: (row) => JSON.stringify([row.times]),
};

export class Picture {
  constructor(root, source) {
    this.root = root;
    this.source = source;
    this.rows = { nodes: new Map(), pods: new Map(), services: new Map(), events: new Map(), memory: new Map(), load: new Map() };
    this.fresh = new Map();
    this.chips = new Map();
    this.system = false;
    this.chosen = "";
    this.first = true;
    this.dirty = new Set();
    root.classList.add("ai-lab", "ai-lab-picture");
    root.setAttribute("data-lm-suppress-shortcuts", "true");
    root.tabIndex = -1;
    const toggle = h("input", { type: "checkbox", on: { change: (event) => ((this.system = event.target.checked), this.soon("pods", "services", "events")) } });
    this.state = h("div", { class: "note", role: "status" }, "The cluster is being asked.");
    this.parts = Object.fromEntries(["nodes", "waiting", "details", "services", "memory", "load", "events"].map((name) => [name, h("div", { "data-part": name })]));
    const legend = h("p", { class: "quiet legend" }, Object.values(TONES).flatMap((tone) => [h("span", {}, `${tone.sign} ${tone.told}`), " "]));
    root.append(
      this.state, this.parts.waiting,
      h("h2", {}, "Nodes, GPUs and Pods"), legend, h("label", { class: "quiet system" }, toggle, "also kube-system"),
      this.parts.nodes, this.parts.details, this.parts.memory, this.parts.load,
      h("h2", {}, "Services"), this.parts.services,
      h("h2", {}, "Events"), this.parts.events,
    );
    root.addEventListener("keydown", (event) => this.step(event));
    // What nobody sees is not drawn: it would slow down the terminal beside it.
    this.visible = false;
    this.watcher = new IntersectionObserver((entries) => {
      this.visible = entries.at(-1).isIntersecting;
      if (this.visible) this.soon();
    });
    this.watcher.observe(root);
    this.off = [source.on("state", (message) => this.hearState(message)), source.on("cluster", (message) => this.hear(message))];
    this.timer = setInterval(() => this.chosen && this.soon("details"), 1000);
  }

  dispose() {
    for (const each of this.off) each();
    this.watcher.disconnect();
    clearInterval(this.timer);
  }

  hearState({ state, what, next }) {
    const button = (verb, word) => h("button", { type: "button", "data-verb": verb, on: { click: () => this.source.ask(verb) } }, word);
    const act = state === "down" ? button("up", "Start the cluster") : state === "ready" ? button("down", "Stop the cluster") : null;
    const words = `${{ ready: "✔", down: "✘", changing: "◐" }[state] ?? "…"} ${what}`;
    this.state.style.borderLeftColor = { ready: "var(--good)", down: "var(--bad)", changing: "var(--warn)" }[state] ?? "var(--none)";
    this.state.replaceChildren(h("div", { class: "row" }, h("span", {}, words), this.source.ask && state !== "away" ? act : null), next && state !== "ready" ? h("div", { class: "quiet" }, "In a terminal: ", h("code", {}, next)) : "");
    this.root.dataset.state = state;
  }

  hear({ sections, whole }) {
    if (whole) {
      for (const rows of Object.values(this.rows)) rows.clear();
      this.soon(...Object.keys(this.parts));
    }
    for (const [section, { set, gone }] of Object.entries(sections)) {
      const rows = this.rows[section];
      if (!rows) continue;
      // The first rows of all are no change.
      const known = rows.size > 0 && !whole;
      for (const key of gone) rows.delete(key);
      for (const [key, row] of Object.entries(set)) {
        const before = rows.get(key);
        if (known && told[section] && (!before || told[section](before) !== told[section](row))) this.fresh.set(key, 0);
        rows.set(key, row);
      }
      this.soon(section);
    }
  }

  soon(...sections) {
    for (const each of sections) this.dirty.add(each);
    // What changed while nobody looked is drawn, and marked, when it is looked at again.
    if (this.asked || !this.visible) return;
    this.asked = true;
    requestAnimationFrame(() => {
      this.asked = false;
      this.draw();
    });
  }

  draw() {
    const dirty = this.dirty;
    this.dirty = new Set();
    const any = (...names) => names.some((each) => dirty.has(each));
    if (any("nodes", "pods")) this.drawNodes();
    if (any("pods", "waiting", "nodes")) this.drawWaiting();
    if (any("services")) this.drawServices();
    if (any("events")) this.drawEvents();
    if (any("memory", "pods")) this.drawMemory();
    if (any("load")) this.drawLoad();
    if (any("pods", "details")) this.drawDetails();
    this.age();
  }

  /** A mark stays for a while from the moment it can be seen. */
  age() {
    if (tip?.owner && !tip.owner.isConnected) tip.hidden = true;
    const seen = this.root.isConnected && this.root.offsetParent !== null && document.visibilityState === "visible";
    if (!seen) return;
    const now = performance.now();
    for (const [key, since] of this.fresh) {
      if (!since) {
        this.fresh.set(key, now);
        setTimeout(() => {
          this.fresh.delete(key);
          for (const each of this.root.querySelectorAll(`[data-key="${CSS.escape(key)}"]`)) each.classList.remove("fresh");
        }, FRESH_FOR);
      }
    }
  }

  mark(element, key) {
    element.dataset.key = key;
    element.classList.toggle("fresh", this.fresh.has(key));
    return element;
  }

  shown(row) {
    return this.system || !SYSTEM.has(row.namespace);
  }

  chip(key, pod, dense) {
    const known = this.chips.get(key);
    const sign = TONES[pod.tone].sign;
    const made = known ?? h("button", { type: "button", class: "pod", tabindex: -1 });
    if (!known) {
      this.chips.set(key, made);
      hover(made, () => podWords(this.rows.pods.get(key) ?? pod));
      made.addEventListener("click", () => {
        this.chosen = this.chosen === key ? "" : key;
        this.found = false;
        this.soon("nodes", "details");
      });
    }
    made.dataset.tone = pod.tone;
    made.dataset.pod = pod.name;
    made.dataset.dense = dense ? "yes" : "no";
    made.setAttribute("aria-pressed", String(this.chosen === key));
    made.setAttribute("aria-label", podWords(pod));
    const words = dense ? sign : `${sign} ${pod.name}${pod.gpus ? ` · ${pod.gpus} GPU` : ""}${pod.claimed.length ? ` · ${pod.claimed.join(", ")}` : ""}`;
    if (made.textContent !== words) made.textContent = words;
    return this.mark(made, key);
  }

  drawNodes() {
    const on = new Map();
    for (const [key, pod] of this.rows.pods) {
      if (!this.shown(pod)) continue;
      if (!on.has(pod.node)) on.set(pod.node, []);
      on.get(pod.node).push([key, pod]);
    }
    for (const key of this.chips.keys()) if (!this.rows.pods.has(key)) this.chips.delete(key);
    const focused = this.root.contains(document.activeElement) ? document.activeElement : null;
    const pods = (name) => {
      const here = (on.get(name) ?? []).sort((one, other) => (one[1].name < other[1].name ? -1 : 1));
      return h("div", { class: "pods", role: "group", "aria-label": `${here.length} Pods` }, here.map(([key, pod]) => this.chip(key, pod, here.length > NAMES_UP_TO)));
    };
    const cards = [...this.rows.nodes].sort((one, other) => (one[1].name < other[1].name ? -1 : 1)).map(([key, node]) => {
      const state = `${node.ready ? "✔ Ready" : "✘ not Ready"}${node.cordoned ? ", cordoned" : ""}`;
      const card = h(
        "section", { class: "node", "data-ready": node.ready ? "yes" : "no", "data-node": node.name, "aria-label": `node ${node.name}, ${state}` },
        h("h3", {}, node.name),
        h("div", { class: "quiet" }, state, node.control ? " · control plane" : "", node.product ? ` · ${node.product}` : ""),
        node.why ? h("div", { class: "quiet" }, node.why) : null,
        gpuRows(node.gpus),
        Object.entries(node.devices).map(([name, use]) => h("div", { class: "quiet" }, `${name}: ${use.asked} of ${use.of} held`)),
        node.taints.length ? h("div", { class: "quiet" }, "taints: ", node.taints.join(", ")) : null,
        h("div", { class: "meters" }, ["cpu", "memory"].map((name) => {
          const share = node[name].of ? Math.min(node[name].asked / node[name].of, 1) : 0;
          return h("div", { class: "quiet" }, `${name} ${Math.round(share * 100)}% asked`, h("div", { class: "meter" }, h("div", { style: `width:${share * 100}%` })));
        })),
        pods(node.name),
      );
      return this.mark(card, key);
    });
    if (on.has("")) cards.unshift(h("section", { class: "node", "data-ready": "none", "data-node": "", "aria-label": "Pods without a node" }, h("h3", {}, "No node yet"), pods("")));
    this.parts.nodes.className = "nodes";
    this.parts.nodes.replaceChildren(...cards);
    const chips = [...this.parts.nodes.querySelectorAll(".pod")];
    const current = chips.find((each) => each === this.current) ?? chips[0];
    if (current) current.tabIndex = 0;
    if (focused?.isConnected && focused !== document.activeElement) focused.focus({ preventScroll: true });
  }

  /** Arrow keys go from Pod to Pod; Enter shows the one they stand on. */
  step(event) {
    const way = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!way || !event.target.classList?.contains("pod")) return;
    const chips = [...this.parts.nodes.querySelectorAll(".pod")];
    const next = chips[(chips.indexOf(event.target) + way + chips.length) % chips.length];
    event.target.tabIndex = -1;
    next.tabIndex = 0;
    this.current = next;
    next.focus();
    event.preventDefault();
  }

  drawWaiting() {
    const waiting = [...this.rows.pods.values()].filter((pod) => pod.tone === "waiting" && pod.filters.length && this.shown(pod));
    // Pods of one owner get the same answers: the first stands for all.
    const alike = new Map();
    for (const pod of waiting) {
      const key = `${pod.namespace}/${pod.owner || pod.name}/${JSON.stringify(pod.filters)}`;
      if (!alike.has(key)) alike.set(key, []);
      alike.get(key).push(pod);
    }
    const drawn = [...alike.values()].slice(0, 8).map((pods) => h("div", {}, filterPicture(pods[0]), pods.length > 1 ? h("p", { class: "quiet" }, `The same for ${pods.length - 1} more of ${pods[0].owner}.`) : null));
    this.parts.waiting.replaceChildren(...(drawn.length ? [h("h2", {}, "Why Pods wait: what each node answers"), ...drawn] : []));
  }

  drawServices() {
    const rows = [...this.rows.services].filter(([, row]) => this.shown(row) && !(row.namespace === "default" && row.name === "kubernetes"));
    const list = rows.map(([key, row]) => {
      const none = !row.ready.length && row.selects;
      const words = h("div", {}, h("b", {}, row.name), ` ${row.type} ${row.ports.join(", ")}${none ? " · ✘ no ready endpoint" : ""}`);
      const ends = h("ul", { class: "row" }, row.ready.map((each) => h("li", {}, `✔ ${each}`)), row.not_ready.map((each) => h("li", {}, `◐ ${each}, not Ready`)));
      const made = h("li", { class: "note", "data-service": row.name }, words, ends);
      made.style.borderLeftColor = none ? "var(--bad)" : "var(--good)";
      return this.mark(made, key);
    });
    this.parts.services.replaceChildren(list.length ? h("ul", {}, list) : h("p", { class: "quiet" }, "No Service yet."));
  }

  drawEvents() {
    const rows = [...this.rows.events].filter(([, row]) => this.shown(row)).sort((one, other) => other[1].at - one[1].at).slice(0, EVENTS_SHOWN);
    const list = rows.map(([key, row]) => {
      const made = h("li", { class: "event", "data-warning": row.warning ? "yes" : "no" }, h("span", { class: "quiet" }, clock(row.at), " "), row.warning ? "⚠ " : "", h("b", {}, row.reason), ` ${row.object}${row.times > 1 ? ` (${row.times} times)` : ""}: ${row.message}`);
      return this.mark(made, key);
    });
    this.parts.events.replaceChildren(list.length ? h("ol", {}, list) : h("p", { class: "quiet" }, "No Events yet."));
  }

  drawMemory() {
    const drawn = [];
    for (const [key, containers] of this.rows.memory) {
      const pod = this.rows.pods.get(key);
      if (!pod || !this.shown(pod)) continue;
      for (const [name, points] of Object.entries(containers)) {
        if (points.length > 1 && pod.limits[name] && drawn.length < 6) drawn.push(memoryPicture(`${pod.name}: ${name}`, points, pod.limits[name], pod.kills.filter((each) => each.container === name)));
      }
    }
    this.parts.memory.replaceChildren(...(drawn.length ? [h("h2", {}, "Memory against its limit"), ...drawn] : []));
  }

  drawLoad() {
    const measured = Object.entries(this.rows.load.get("load") ?? {}).filter(([, each]) => each.points.length > 1);
    this.parts.load.replaceChildren(...(measured.length ? [h("h2", {}, "Model servers under load, the last five minutes"), ...measured.map(([name, each]) => loadPicture(name, each))] : []));
  }

  drawDetails() {
    const pod = this.rows.pods.get(this.chosen);
    if (!pod) {
      this.parts.details.replaceChildren();
      return;
    }
    this.parts.details.replaceChildren(
      h("div", { class: "note", "data-details": pod.name }, h("h3", {}, `${pod.namespace}/${pod.name}`), h("p", {}, `${TONES[pod.tone].sign} ${pod.state}${pod.owner ? ` · of ${pod.owner}` : ""}${pod.node ? ` · on ${pod.node}` : ""}`), pod.why ? h("p", {}, pod.why) : null, lifePicture(pod.life, Date.now() / 1000)),
    );
    // In a narrow panel it is below what was clicked.
    if (!this.found) this.parts.details.scrollIntoView({ block: "nearest" });
    this.found = true;
  }
}

// The notebook's widget

/** Where there is no JupyterLab server of the course (another editor), the kernel is asked every two seconds, by the widget's own line. */
function byKernel(model) {
  const hearers = { state: new Set(), cluster: new Set() };
  model.on("msg:custom", (message) => {
    for (const hear of hearers[message.kind] ?? []) hear(message);
  });
  const ask = () => document.visibilityState === "visible" && model.send({ verb: "look" });
  const timer = setInterval(ask, 2000);
  ask();
  return {
    on(kind, hear) {
      hearers[kind]?.add(hear);
      return () => hearers[kind]?.delete(hear);
    },
    close: () => clearInterval(timer),
  };
}

/** Whether this JupyterLab was opened by the course and has its line. */
async function served() {
  const { baseUrl, token } = page();
  if (baseUrl === undefined) return false;
  try {
    const answer = await fetch(`${baseUrl}ai-lab/state`, { headers: token ? { Authorization: `token ${token}` } : {} });
    return answer.ok;
  } catch {
    return false;
  }
}

export default {
  async render({ model, el }) {
    dress(el.getRootNode() instanceof ShadowRoot ? el.getRootNode() : document);
    const source = (await served()) ? line() : byKernel(model);
    const place = el.appendChild(h("div", { style: `max-height:${model.get("height")}px` }));
    const picture = new Picture(place, source);
    return () => {
      picture.dispose();
      source.close?.();
    };
  },
};
