// JupyterLab's plugin: the start page in the main area, the cluster at the right, buttons in notebooks. `take` gives JupyterLab's own packages.

import { Exercise, Now, STYLE as BUTTONS } from "./buttons.js";
import { dress, h, line, Picture, STYLE } from "./picture.js";
import { StartPage, STYLE as START } from "./start_page.js";

const START_PAGE = "ai-lab-start-page";
const CLUSTER = "ai-lab-cluster";
const NARROW = 1100; // pixels

// Names of files and tabs in full: a learner finds a lab by its name.
const NAMES = `
.jp-DirListing-item { height:auto !important; }
.jp-DirListing-itemText { white-space:normal !important; overflow-wrap:anywhere; }
#jp-main-dock-panel .lm-DockPanel-tabBar .lm-TabBar-tab { flex:0 1 auto; max-width:none; }
.ai-lab-panel { display:flex; flex-direction:column; background:var(--jp-layout-color1); }
.ai-lab-panel > :first-child { flex:none; max-height:60%; overflow:auto; }
.ai-lab-panel > .ai-lab-picture { flex:1; min-height:0; }
.ai-lab-panel .ai-lab-now { margin:8px 12px; }
`;

const CALL = /^\s*lab\.(start|check)\(\s*["']([\w-]+)["']/m;
const OPEN = /open_lab\(\s*["']([\w-]+)["']/;

/** Bars beside the exercises of one notebook, and the way to the next lab below its last cell. */
class Bars {
  constructor(panel, source, markdown, act) {
    Object.assign(this, { panel, source, markdown, act });
    this.bars = new Map();
    this.end = h("nav", { class: "ai-lab ai-lab-bar", "aria-label": "next lab", "data-lm-suppress-shortcuts": "true" });
    const cells = panel.content.model?.cells;
    cells?.changed.connect(() => this.soon());
    panel.content.modelContentChanged?.connect(() => this.soon());
    this.off = source.on("course", (course) => ((this.course = course), this.soon()));
    panel.disposed.connect(() => {
      this.off();
      for (const { exercise } of this.bars.values()) exercise.dispose();
    });
    this.soon();
  }

  soon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.place(), 100);
  }

  place() {
    if (this.panel.isDisposed) return;
    const cells = [...this.panel.content.widgets];
    const sources = cells.map((cell) => cell.model.sharedModel.getSource());
    const lab = sources.map((text) => OPEN.exec(text)?.[1]).find(Boolean);
    const known = this.course?.labs.find((each) => each.id === lab);
    if (!known) return;
    const kept = new Set();
    cells.forEach((cell, at) => {
      const call = cell.model.type === "code" ? CALL.exec(sources[at]) : null;
      if (!call || !known.exercises.some((each) => each.id === call[2])) return;
      const key = `${lab}/${call[2]}`;
      const id = `${cell.model.id} ${call[1]} ${key}`;
      kept.add(id);
      let bar = this.bars.get(id);
      if (!bar) {
        const node = h("div", { class: "ai-lab ai-lab-bar", role: "group", "aria-label": `exercise ${call[2]}`, "data-exercise": key, "data-beside": call[1], "data-lm-suppress-shortcuts": "true" });
        // A verdict that comes by itself is shown once: beside the check.
        bar = { node, exercise: new Exercise(node, this.source, key, { speaks: call[1] === "check", markdown: this.markdown }) };
        this.bars.set(id, bar);
      }
      this.put(cell, bar.node);
    });
    for (const [id, { node, exercise }] of this.bars) {
      if (kept.has(id)) continue;
      exercise.dispose();
      node.remove();
      this.bars.delete(id);
    }
    this.way(known, cells.at(-1));
  }

  put(cell, node) {
    if (node.parentNode === cell.node && node === cell.node.lastElementChild) return;
    cell.node.append(node);
    // A cell far below is made when it is scrolled to, and what it is made of comes after what is there.
    cell.ready?.then(() => cell.node.lastElementChild !== node && cell.node.append(node));
  }

  way(lab, last) {
    const labs = this.course.labs;
    const after = labs[labs.findIndex((each) => each.id === lab.id) + 1];
    const open = lab.exercises.find((each) => each.state !== "passed");
    this.end.replaceChildren(h("div", { class: "row" },
      open ? h("span", {}, `${lab.passed} of ${lab.of} passed. Next open here: `, h("b", {}, open.title)) : h("span", {}, `✔ All ${lab.of} exercises of this lab are passed.`),
      after ? h("button", { type: "button", class: "main", "data-open": after.notebook, on: { click: () => this.act.notebook(after.notebook) } }, `Next lab: ${after.title} (${after.notebook})`) : h("span", {}, "This is the last lab."),
      h("button", { type: "button", "data-open": "map", on: { click: () => this.act.start() } }, "Course map")));
    if (last) this.put(last, this.end);
  }
}

export async function plugins(take) {
  const [{ Widget }, notebooks, mime, apputils] = await Promise.all(["@lumino/widgets", "@jupyterlab/notebook", "@jupyterlab/rendermime", "@jupyterlab/apputils"].map(take));
  return [
    {
      id: "ai-lab-course:plugin",
      autoStart: true,
      optional: [notebooks?.INotebookTracker, mime?.IRenderMimeRegistry, apputils?.ICommandPalette].filter(Boolean),
      activate(app, tracker, rendermime, palette) {
        dress();
        document.head.append(h("style", { "data-ai-lab-lab": "" }, BUTTONS + START + NAMES));
        activate(app, Widget, tracker, rendermime, palette);
      },
    },
  ];
}

function activate(app, Widget, tracker, rendermime, palette) {
  const { commands, shell } = app;
  const source = line();
  let page = null;

  function start(activated = true) {
    if (!page || page.isDisposed) {
      const node = h("div");
      page = new Widget({ node });
      page.id = START_PAGE;
      page.title.label = "The course";
      page.title.caption = "Start page of the course";
      page.title.closable = true;
      const made = new StartPage(node, source, act);
      page.disposed.connect(() => made.dispose());
      shell.add(page, "main", { activate: activated });
    }
    if (activated) shell.activateById(page.id);
  }

  const act = {
    start,
    terminal: () => commands.execute("terminal:create-new"),
    picture: () => shell.activateById(CLUSTER),
    async notebook(path, exercise) {
      const panel = await commands.execute("docmanager:open", { path, factory: "Notebook" });
      if (!panel || !exercise) return panel;
      await panel.revealed;
      await panel.context.ready;
      const cells = [...panel.content.widgets];
      const at = cells.findIndex((cell) => CALL.exec(cell.model.sharedModel.getSource())?.[2] === exercise);
      if (at >= 0) {
        panel.content.activeCellIndex = at;
        await panel.content.scrollToItem?.(at, "start");
      }
      return panel;
    },
    async beside(path, exercise) {
      const panel = await act.notebook(path, exercise);
      const terminal = await commands.execute("terminal:create-new");
      if (panel && terminal) shell.add(terminal, "main", { ref: panel.id, mode: "split-bottom" });
      act.picture();
    },
  };

  const cluster = new Widget({ node: h("div", { class: "ai-lab ai-lab-panel" }) });
  cluster.id = CLUSTER;
  cluster.title.label = "Cluster";
  cluster.title.caption = "The cluster, live";
  // In a narrow window the list of files makes room: notebook and cluster are what is looked at then, and the course's map names the files too.
  cluster.onAfterShow = () => innerWidth < NARROW && shell.leftCollapsed === false && shell.collapseLeft();
  const now = h("div");
  const drawn = h("div");
  cluster.node.append(now, drawn);
  cluster.node.setAttribute("data-lm-suppress-shortcuts", "true");
  new Now(now, source);
  new Picture(drawn, source);
  shell.add(cluster, "right", { rank: 50 });

  commands.addCommand("ai-lab:start-page", { label: "Course: start page", execute: () => start() });
  commands.addCommand("ai-lab:cluster", { label: "Course: the cluster, live", execute: () => act.picture() });
  for (const command of ["ai-lab:start-page", "ai-lab:cluster"]) palette?.addItem({ command, category: "Kubernetes for AI workloads" });

  function markdown(text) {
    const made = rendermime.createRenderer("text/markdown");
    void made.renderModel(rendermime.createModel({ data: { "text/markdown": text } }));
    return made.node;
  }

  tracker?.widgetAdded.connect((_, panel) => panel.context.ready.then(() => new Bars(panel, source, rendermime ? markdown : null, act)));
  tracker?.forEach((panel) => panel.context.ready.then(() => new Bars(panel, source, rendermime ? markdown : null, act)));

  void app.restored.then(() => {
    const main = [...shell.widgets("main")];
    const launchers = main.filter((each) => each.node.querySelector(".jp-Launcher"));
    const bare = main.length === launchers.length;
    start(bare);
    if (bare) for (const each of launchers) each.close();
  });
}
