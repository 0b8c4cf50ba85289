// The start page: the course as a map, where the learner goes on, the cluster's state. In: messages of the server; out: DOM under one element.

import { h } from "./picture.js";
import { Now, stateLine } from "./buttons.js";

export const STYLE = `
.ai-lab-start { padding:16px 24px; height:100%; overflow:auto; }
.ai-lab-start h1 { font-size:20px; margin:0 0 4px; color:var(--ink); font-weight:600; }
.ai-lab-start .go { border:1px solid var(--edge); border-left:6px solid var(--info); border-radius:4px; padding:10px 14px; margin:12px 0; }
.ai-lab-start .labs { display:grid; grid-template-columns:repeat(auto-fill,minmax(250px,1fr)); gap:10px; }
.ai-lab-start .lab { border:1px solid var(--edge); border-left:6px solid var(--none); border-radius:4px; padding:8px 12px; display:flex; flex-direction:column; gap:4px; min-width:0; }
.ai-lab-start .lab[data-done=yes] { border-left-color:var(--good); }
.ai-lab-start .lab[data-next=yes] { border-left-color:var(--info); border-width:2px 2px 2px 6px; }
.ai-lab-start .steps { display:flex; flex-wrap:wrap; gap:3px; }
.ai-lab-start .step { min-width:24px; min-height:24px; padding:0 4px; text-align:center; border-width:2px; background:var(--paper); }
.ai-lab-start .step[data-next=yes] { outline:3px solid var(--info); outline-offset:1px; font-weight:700; }
.ai-lab-start progress { width:100%; height:10px; appearance:none; border:1px solid var(--edge); border-radius:5px; overflow:hidden; background:var(--lift); }
.ai-lab-start progress::-webkit-progress-bar { background:var(--lift); }
.ai-lab-start progress::-webkit-progress-value, .ai-lab-start progress::-moz-progress-bar { background:var(--good); }
.ai-lab-start .lab .row { margin-top:auto; }
`;

function hours(minutes) {
  return minutes < 90 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60 ? `${minutes % 60} min` : ""}`.trim();
}

export class StartPage {
  /** `act` opens things in JupyterLab: `notebook(path, exercise)`, `terminal()`, `picture()`, `beside(path)`. */
  constructor(root, source, act) {
    this.source = source;
    this.act = act;
    root.classList.add("ai-lab", "ai-lab-start");
    root.setAttribute("data-lm-suppress-shortcuts", "true");
    this.head = h("div");
    this.go = h("div", { class: "go", "data-part": "go" });
    this.now = h("div");
    this.cluster = h("div", { class: "note", role: "status", "data-part": "cluster" }, "The cluster is being asked.");
    this.labs = h("div", { class: "labs", "data-part": "labs" });
    root.append(this.head, this.go, this.cluster, h("div", { class: "row", role: "group", "aria-label": "Open" },
      h("button", { type: "button", "data-open": "terminal", on: { click: () => act.terminal() } }, "Terminal"),
      h("button", { type: "button", "data-open": "picture", on: { click: () => act.picture() } }, "The cluster, live"),
    ), this.now, h("h2", {}, "The course"), this.labs);
    this.widget = new Now(this.now, source);
    this.off = [
      source.on("hello", ({ looks }) => ((this.looks = looks), this.draw())),
      source.on("course", (course) => ((this.course = course), this.draw())),
      source.on("state", (message) => stateLine(this.cluster, source, message)),
    ];
  }

  dispose() {
    for (const each of this.off) each();
    this.widget.dispose();
  }

  find(key) {
    for (const lab of this.course.labs) for (const exercise of lab.exercises) if (exercise.key === key) return { lab, exercise };
    return null;
  }

  draw() {
    if (!this.course || !this.looks) return;
    const { title, learner, passed, of, left, labs, now, next } = this.course;
    const focus = document.activeElement?.dataset?.key;
    this.head.replaceChildren(
      h("h1", {}, title),
      h("p", { class: "quiet" }, `${learner}: ${passed} of ${of} exercises passed${left ? `, about ${hours(left)} left` : ". The course is done."}`),
      h("progress", { max: of, value: passed, "aria-label": `${passed} of ${of} exercises passed` }),
    );
    const target = now || next;
    const found = target ? this.find(target) : null;
    this.go.hidden = !found;
    if (found) {
      const { lab, exercise } = found;
      this.go.replaceChildren(
        h("p", {}, now ? "You stopped at " : passed ? "Next: " : "Begin with ", h("b", {}, exercise.title), ` in lab ${lab.title}`),
        h("div", { class: "row" },
          h("button", { type: "button", class: "main", "data-open": "go", on: { click: () => this.act.notebook(lab.notebook, exercise.id) } }, now ? "Go on where you stopped" : "Begin"),
          h("button", { type: "button", "data-open": "beside", on: { click: () => this.act.beside(lab.notebook, exercise.id) } }, "Text, terminal and cluster side by side"),
          h("code", {}, lab.notebook)),
      );
    }
    this.labs.replaceChildren(...labs.map((lab) => this.lab(lab, target)));
    if (focus) this.labs.querySelector(`[data-key="${CSS.escape(focus)}"]`)?.focus({ preventScroll: true });
  }

  lab(lab, target) {
    const ahead = lab.exercises.some((each) => each.key === target);
    const steps = lab.exercises.map((each, at) => {
      const look = this.looks[each.state] ?? this.looks["not started"];
      const isNext = each.key === target;
      const words = `${at + 1}. ${each.title}: ${each.state}${isNext ? ", next" : ""}`;
      return h("button", {
        type: "button", class: "step", style: `border-color:${look.colour}`, title: words, "aria-label": words, "data-key": each.key, "data-state": each.state,
        "data-next": isNext ? "yes" : "no", on: { click: () => this.act.notebook(lab.notebook, each.id) },
      }, look.sign);
    });
    return h("section", { class: "lab", "data-lab": lab.id, "data-done": lab.passed === lab.of ? "yes" : "no", "data-next": ahead ? "yes" : "no", "aria-label": lab.title },
      h("h3", {}, `${lab.id.split("-")[0]} · ${lab.title}`),
      h("code", {}, lab.notebook),
      h("div", { class: "quiet" }, `${lab.passed} of ${lab.of} passed · ${lab.left ? `about ${hours(lab.left)} left` : "✔ done"}`),
      h("div", { class: "steps", role: "group", "aria-label": "exercises" }, steps),
      h("div", { class: "row" }, h("button", { type: "button", "data-open": lab.notebook, on: { click: () => this.act.notebook(lab.notebook) } }, `Open ${lab.notebook}`)),
    );
  }
}
