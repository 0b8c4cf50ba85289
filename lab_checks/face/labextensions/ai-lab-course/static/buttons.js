// Buttons beside an exercise and the verdict below them; the line on the cluster's state; the exercise under way. The words are the server's.

import { h } from "./picture.js";

const SAID = "ai-lab-verdict";
// By exercise, whose Check was pressed last: a verdict that comes by itself later takes the place of that one.
const asked = new Map();

export const STYLE = `
.ai-lab-bar { margin:4px 0 8px var(--jp-cell-prompt-width,64px); padding:6px 10px; border:1px solid var(--edge); border-left:6px solid var(--none); border-radius:4px; }
.ai-lab-bar label, .ai-lab-now label { display:inline-flex; gap:5px; align-items:center; }
.ai-lab .row > span:empty { display:none; }
.ai-lab .verdict { border-left:6px solid var(--none); padding:6px 12px; margin:6px 0 2px; background:var(--lift); overflow-wrap:anywhere; }
.ai-lab .verdict ul { margin:0 0 2px 0; }
.ai-lab .verdict.ai-lab-green { background:color-mix(in srgb, var(--good) 14%, var(--paper)); }
.ai-lab-now { border:1px solid var(--edge); border-left:6px solid var(--none); border-radius:4px; padding:6px 10px; margin:8px 0; }
.ai-lab .chip { border:2px solid var(--none); border-radius:10px; padding:0 8px; font-weight:600; background:var(--paper); }
`;

/** Where a line of words on the cluster stands, with the button that starts or stops it. */
export function stateLine(place, source, { state, what, next }) {
  const button = (verb, word) => h("button", { type: "button", "data-verb": verb, on: { click: () => source.ask(verb) } }, word);
  const act = state === "down" ? button("up", "Start the cluster") : state === "ready" ? button("down", "Stop the cluster") : null;
  place.style.borderLeftColor = { ready: "var(--good)", down: "var(--bad)", changing: "var(--warn)" }[state] ?? "var(--none)";
  place.dataset.state = state;
  place.replaceChildren(
    h("div", { class: "row" }, h("span", {}, `${{ ready: "✔", down: "✘", changing: "◐" }[state] ?? "…"} ${what}`), act),
    next && state !== "ready" ? h("div", { class: "quiet" }, "In a terminal: ", h("code", {}, next)) : "",
  );
}

/** The verdict, with its mark as word, sign and colour: what was seen, what was expected, what comes next. */
export function verdictCard(verdict, looks) {
  const look = looks[verdict.mark] ?? looks["not yet"];
  const card = h("div", { class: `verdict${verdict.passed ? " ai-lab-green" : ""}`, style: `border-left-color:${look.colour}`, "data-mark": verdict.mark });
  card.append(h("div", {}, h("b", {}, `${look.sign} ${verdict.mark}`), `: ${verdict.headline}`));
  if (verdict.seen.length) {
    card.append(h("div", {}, "Seen:"), h("ul", {}, verdict.seen.map((each) => h("li", {}, h("code", {}, each.object), each.field ? ` ${each.field}: ` : ": ", h("code", {}, each.value)))));
  }
  if (verdict.expected) card.append(h("div", {}, `Expected: ${verdict.expected}`));
  if (verdict.credit > 0 && verdict.credit < 1) card.append(h("div", {}, `So far: ${Math.round(verdict.credit * 100)}% of this exercise`));
  if (verdict.next) card.append(h("div", {}, "Next: ", h("code", {}, verdict.next)));
  if (verdict.notice) card.append(h("div", {}, `Note: ${verdict.notice}`));
  return card;
}

/** What an answer without a verdict says: a hint, a start, a problem. */
function words(answer, source) {
  if (answer.problem) {
    const up = answer.up ? h("button", { type: "button", "data-verb": "up", on: { click: () => source.ask("up") } }, "Start the cluster") : null;
    return h("div", { class: "note", style: "border-left-color:var(--bad)" }, h("div", {}, `✘ ${answer.problem}`), h("div", { class: "row" }, answer.next ? h("span", {}, "Next: ", h("code", {}, answer.next)) : "", up));
  }
  return h("div", { class: "note", style: "border-left-color:var(--info)" }, answer.of ? `Hint ${answer.number} of ${answer.of}: ${answer.text}` : answer.text ?? "");
}

/** Four buttons, the exercise's state, the switch for checks by themselves, and one place for what came last. */
export class Exercise {
  /** `speaks`: whether verdicts that come by themselves are shown here (one place an exercise does); `markdown` renders a debrief. */
  constructor(place, source, key, { speaks = true, markdown = null, title = false } = {}) {
    Object.assign(this, { place, source, key, speaks, markdown, title });
    this.chip = h("span", { class: "chip" }, "…");
    this.name = h("span");
    this.said = h("div", { role: "status", "aria-live": "polite" });
    this.busy = h("span", { class: "quiet" });
    this.story = h("div");
    this.buttons = ["start", "check", "hint", "reset"].map((verb) =>
      h("button", { type: "button", "data-verb": verb, class: verb === "check" ? "main" : "", on: { click: () => this.press(verb) } }, verb[0].toUpperCase() + verb.slice(1)));
    this.box = h("input", { type: "checkbox", "data-verb": "watch", on: { change: () => source.ask("watch", { on: this.box.checked }) } });
    place.append(h("div", { class: "row" }, this.name, this.chip, ...this.buttons, h("label", {}, this.box, "check by itself"), this.busy), this.said, this.story);
    this.elsewhere = ({ detail }) => detail !== this && detail.key === this.key && this.clear();
    document.addEventListener(SAID, this.elsewhere);
    this.off = [
      source.on("hello", ({ looks, watching }) => ((this.looks = looks), (this.box.checked = watching), this.draw())),
      source.on("watch", ({ watching }) => (this.box.checked = watching)),
      source.on("course", (course) => ((this.course = course), this.draw())),
      source.on("verdict", (answer) => answer.exercise === this.key && this.hears() && this.show(answer)),
      source.on("said", ({ line }) => this.pressed && (this.busy.textContent = `… ${line}`)),
    ];
  }

  /** Whether a verdict that comes by itself is shown here: where Check was pressed last, and, with the switch on, at the exercise under way. */
  hears() {
    if (this.pressed) return false;
    const last = asked.get(this.key);
    return last === this || (this.title && this.box.checked) || (!last && this.speaks);
  }

  dispose() {
    for (const each of this.off) each();
    if (asked.get(this.key) === this) asked.delete(this.key);
    document.removeEventListener(SAID, this.elsewhere);
  }

  clear() {
    this.said.replaceChildren();
    this.story.replaceChildren();
  }

  draw() {
    if (!this.course || !this.looks) return;
    for (const lab of this.course.labs) {
      const found = lab.exercises.find((each) => each.key === this.key);
      if (!found) continue;
      const look = this.looks[found.state] ?? this.looks["not started"];
      this.chip.textContent = `${look.sign} ${found.state}`;
      this.chip.style.borderColor = look.colour;
      this.chip.dataset.state = found.state;
      this.place.style.borderLeftColor = look.colour;
      if (this.title) this.name.replaceChildren(h("b", {}, found.title));
    }
  }

  async press(verb) {
    if (this.pressed) return;
    this.pressed = verb;
    if (verb === "check") asked.set(this.key, this);
    this.busy.textContent = "…";
    for (const each of this.buttons) each.disabled = true;
    try {
      this.show(await this.source.ask(verb, { exercise: this.key }), verb);
    } finally {
      this.pressed = "";
      this.busy.textContent = "";
      for (const each of this.buttons) each.disabled = false;
    }
  }

  show(answer, verb = "check") {
    this.story.replaceChildren();
    if (answer.verdict) {
      // A verdict stands in one place: where it came last.
      if (this.pressed) document.dispatchEvent(new CustomEvent(SAID, { detail: this }));
      this.said.replaceChildren(verdictCard(answer.verdict, this.looks));
      if (answer.debrief && this.markdown) this.story.replaceChildren(this.markdown(answer.debrief));
      return;
    }
    this.said.replaceChildren(words(verb === "start" && !answer.problem ? { text: `Started. ${answer.text}` } : answer, this.source));
  }
}

/** The exercise under way, wherever it is: what turns green while somebody works in a terminal. */
export class Now {
  constructor(place, source) {
    this.place = place;
    this.source = source;
    this.off = source.on("course", ({ now, next }) => {
      // The one that was passed stays in view until another is started.
      const key = now || this.exercise?.key || next;
      if (!key || key === this.exercise?.key) return;
      this.exercise?.dispose();
      const box = h("div", { class: "ai-lab-now", "data-exercise": key });
      this.place.replaceChildren(box);
      this.exercise = new Exercise(box, source, key, { title: true });
    });
  }

  dispose() {
    this.off();
    this.exercise?.dispose();
  }
}
