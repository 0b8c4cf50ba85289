// One section at a time. Without this program, and on paper, all of them stand below each other.
const sections = [...document.querySelectorAll("section")];
const bar = document.querySelector("nav");
const status = bar.querySelector("[role=status]");
let at = 0;
let all = false;

function named() {
  const found = sections.findIndex((each) => `#${each.id}` === location.hash);
  return found < 0 ? 0 : found;
}

function show(wanted, focus) {
  at = Math.max(0, Math.min(sections.length - 1, wanted));
  document.body.classList.toggle("one", !all);
  sections.forEach((each, index) => { each.hidden = !all && index !== at; });
  bar.querySelector("[data-go='-1']").disabled = at === 0;
  bar.querySelector("[data-go='1']").disabled = at === sections.length - 1;
  status.textContent = `${at + 1} of ${sections.length}`;
  // Not at the beginning: the browser would scroll to the section once the page is there.
  if (focus) history.replaceState(null, "", `#${sections[at].id}`);
  const heading = sections[at].querySelector("h2");
  // A screen reader goes on at the new heading; the eye begins at the top.
  if (focus) heading.focus({preventScroll: true});
  if (all) heading.scrollIntoView(); else scrollTo(0, 0);
}

// A presenter's remote has these two keys only: they read on, down a long slide first.
function further(way) {
  const page = document.documentElement;
  const left = way > 0 ? page.scrollHeight - innerHeight - scrollY : scrollY;
  if (!all && left <= 4) return at + way;
  scrollBy(0, way * 0.8 * innerHeight);
  return null;
}

const keys = {
  ArrowRight: () => at + 1, ArrowLeft: () => at - 1, PageDown: () => further(1), PageUp: () => further(-1), Home: () => 0, End: () => sections.length - 1,
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.defaultPrevented) return;
  if (event.key === "p" || event.key === "P") {
    all = !all;
    show(at, true);
  } else if (Object.hasOwn(keys, event.key)) {
    event.preventDefault();
    const wanted = keys[event.key]();
    if (wanted !== null) show(wanted, true);
  }
});
bar.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button) show(at + Number(button.dataset.go), true);
});
addEventListener("hashchange", () => show(named(), true));
bar.hidden = false;
show(named(), false);
