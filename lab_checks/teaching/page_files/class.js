"use strict";
// The instructor's page. Whatever comes from a learner's machine is put into the page as text, never as HTML.
const MARKS = {
  stuck: ["▲", "stuck"], working: ["▶", "working"], passed: ["✔", "passed"], waiting: ["○", "not begun"], away: ["…", "silent"], left: ["↘", "has left"],
};
const AGAIN = 2000; // milliseconds until a server that did not answer is asked again
const TICK = 10000; // milliseconds between two renewals of the ages
const part = (id) => document.getElementById(id);
let view = null;
let ahead = 0; // seconds that the server's clock is ahead of this one
let lastHeard = null;
let problem = "";

const now = () => Date.now() / 1000 + ahead;
const many = (number, one, more) => `${number} ${number === 1 ? one : more}`;

function age(moment) {
  const minutes = Math.max(0, Math.floor((now() - moment) / 60));
  if (minutes < 1) return "now";
  if (minutes < 120) return `${minutes} min`;
  return minutes < 48 * 60 ? `${Math.floor(minutes / 60)} h` : `${Math.floor(minutes / 1440)} days`;
}

const clock = (moment) => new Date((moment - ahead) * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });

/** Writes only what is another text than before: what somebody has selected stays selected. */
function say(place, text) {
  if (place.textContent !== text) place.textContent = text;
}

function cells(row, kinds) {
  while (row.children.length < kinds.length) {
    const kind = kinds[row.children.length];
    const made = document.createElement(kind === "head" ? "th" : "td");
    if (kind === "head") made.scope = "row";
    else if (kind) made.className = kind;
    row.append(made);
  }
  return row.children;
}

function lines(place, first, second, kind) {
  if (place.children.length !== 2) {
    const upper = document.createElement("span"), lower = document.createElement("span");
    lower.className = kind;
    place.replaceChildren(upper, lower);
  }
  say(place.children[0], first);
  say(place.children[1], second);
}

/** Rows by key: those that are there already are kept and moved only where their order is another one. */
function fill(table, items, key, write) {
  const body = part(table).tBodies[0];
  const there = new Map([...body.rows].map((row) => [row.dataset.key, row]));
  items.forEach((item, at) => {
    const name = String(key(item));
    const row = there.get(name) ?? document.createElement("tr");
    there.delete(name);
    row.dataset.key = name;
    write(row, item);
    if (body.rows[at] !== row) body.insertBefore(row, body.rows[at] ?? null);
  });
  for (const row of there.values()) row.remove();
}

const PERSON = ["head", "where", "time", "number", "number", "words", "number", "time"];
// What a verdict says after its mark; a state without a verdict stands alone.
const verdict = (each) => (each.words ? `${each.state}: ${each.words}` : each.state || "–");

function person(row, each) {
  row.dataset.mark = each.mark;
  const [who, where, since, hints, checks, words, passed, seen] = cells(row, PERSON);
  const [sign, mark] = MARKS[each.mark];
  lines(who, each.name, `${sign} ${mark}`, "mark");
  lines(where, each.exercise || "–", each.title, "quiet");
  lines(since, age(each.since), clock(each.since), "quiet");
  say(hints, String(each.hints));
  say(checks, String(each.checks));
  say(words, verdict(each));
  say(passed, `${each.passed}/${each.of}`);
  say(seen, age(each.seen));
}

function ordered() {
  const wanted = part("find").value.trim().toLowerCase();
  const found = view.learners.filter((each) => !wanted || `${each.name} ${each.exercise} ${each.title}`.toLowerCase().includes(wanted));
  const order = part("order").value;
  // The server's own order is by mark.
  return order === "mark" ? found : found.sort((one, other) => one[order].localeCompare(other[order]) || one.name.localeCompare(other.name));
}

function show() {
  if (!view) return;
  const people = ordered();
  fill("learners", people, (each) => each.id, person);
  part("nobody").hidden = view.learners.length > 0;
  say(part("learners-caption"),
    `${people.length === view.learners.length ? many(people.length, "learner", "learners") : `${people.length} of ${many(view.learners.length, "learner", "learners")}`}. ` +
    `▲ stuck: ${Math.round(view.stuck_after / 60)} minutes or more on one exercise without a pass.`);
  part("wrong-part").hidden = !view.wrong.length;
  part("exercises-part").hidden = !view.exercises.length;
  fill("wrong", view.wrong, (each) => `${each.exercise}\n${each.words}`, (row, each) => {
    const [exercise, words, learners, times] = cells(row, ["head", "words", "number", "number"]);
    lines(exercise, each.exercise, each.title, "quiet mark");
    say(words, each.words);
    say(learners, String(each.learners));
    say(times, String(each.times));
  });
  fill("exercises", view.exercises, (each) => each.exercise, (row, each) => {
    const found = cells(row, ["head", "", "number", "number", "number", "number", "number", "number"]);
    const told = [each.exercise, each.title, each.here, each.stuck, each.passed, each.begun, each.checks, each.hints];
    told.forEach((text, at) => say(found[at], String(text)));
  });
  tell();
}

function tell() {
  const place = part("now");
  if (problem) {
    place.dataset.away = "yes";
    say(place, view ? `${problem} What is shown is from ${clock(lastHeard)}.` : problem);
    return;
  }
  delete place.dataset.away;
  if (!view) return;
  const sums = Object.keys(MARKS).map((mark) => [mark, view.learners.filter((each) => each.mark === mark).length]).filter(([, sum]) => sum);
  say(place, sums.map(([mark, sum]) => `${sum} ${MARKS[mark][1]}`).join(", ") || "The page updates by itself.");
  document.title = sums[0]?.[0] === "stuck" ? `(${sums[0][1]} stuck) The class` : "The class";
}

function shut(head, words, command = "") {
  view = null;
  problem = "";
  say(part("now"), "");
  part("open").hidden = true;
  for (const id of ["learners", "wrong", "exercises"]) part(id).tBodies[0].replaceChildren();
  say(part("closed-head"), head);
  say(part("closed-words"), words);
  say(part("closed-command"), command);
  part("closed-command").hidden = !command;
  part("closed").hidden = false;
}

async function ask(path, options = {}) {
  const answer = await fetch(path, { cache: "no-store", ...options });
  let body = null;
  try { body = await answer.json(); } catch { /* no JSON: what answers is not the class's server */ }
  return [answer.status, body];
}

async function follow() {
  for (;;) {
    let status, body;
    try {
      [status, body] = await ask(view ? `api/view?since=${view.version}` : "api/view");
    } catch { status = 0; }
    if (status === 401) {
      shut("This page shows its class to the instructor only", "Open it with the link that ai-lab class serve has printed for you.");
      return;
    }
    if (status === 200 && body) {
      problem = "";
      ahead = body.now - Date.now() / 1000;
      lastHeard = body.now;
      view = body;
      part("closed").hidden = true;
      part("open").hidden = false;
      show();
    } else {
      problem = "The class's server does not answer.";
      tell();
      await new Promise((done) => setTimeout(done, AGAIN));
    }
  }
}

async function open() {
  const [kind, secret] = location.hash.slice(1).split("=", 2);
  if (kind === "join" && secret) {
    shut("This is the link for learners", "Type this in a terminal where ai-lab is installed. It says what is sent before it sends anything.",
      `ai-lab class join '${location.href}'`);
    return;
  }
  if (kind === "view" && secret) {
    try {
      const [status, body] = await ask("api/session", { method: "POST", body: JSON.stringify({ token: secret }) });
      // The address that stays in the browser's history has no secret.
      history.replaceState(null, "", location.pathname);
      if (status !== 200) {
        shut(body?.problem ?? "The class's server has a problem", body?.next ?? "");
        return;
      }
    } catch {
      shut("The class's server does not answer", "Load this page again when it does.");
      return;
    }
  }
  await follow();
}

part("order").addEventListener("change", show);
part("find").addEventListener("input", show);
part("out").addEventListener("click", async () => {
  try { await ask("api/session", { method: "DELETE" }); } finally { location.reload(); }
});
addEventListener("hashchange", () => location.reload());
setInterval(show, TICK);
open();
