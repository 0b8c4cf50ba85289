"""The instructor's page: one file that holds no name. Its script asks the class's server for what it shows, once it was signed in."""

from __future__ import annotations

from functools import cache
from html import escape

from lab_checks.engine import course
from lab_checks.teaching import html

_LEARNERS = ("Learner", "Exercise", "Since", "Hints", "Checks", "Last verdict", "Passed", "Last report")
_WRONG = ("Exercise", "What the check says", "Learners", "Times")
_EXERCISES = ("Exercise", "Title", "There now", "Stuck", "Passed", "Began", "Checks", "Hints")
# How the learners are ordered: the server's own order, or a field of their rows.
_ORDERS = {"mark": "stuck first", "name": "by name", "exercise": "by exercise"}


_NUMBERS = {"Hints", "Checks", "Passed", "Learners", "Times", "There now", "Stuck", "Began"}


def _table(part: str, caption: str, heads: tuple[str, ...]) -> str:
    head = "".join(f"<th scope='col'{' class=number' if each in _NUMBERS else ''}>{each}</th>" for each in heads)
    return (
        f"<div class='wide' role='region' aria-labelledby='{part}-caption' tabindex='0'><table id='{part}'>"
        f"<caption id='{part}-caption'>{caption}</caption><thead><tr>{head}</tr></thead><tbody></tbody></table></div>"
    )


@cache
def whole() -> str:
    """The page as HTML."""
    title = course.load().title
    options = "".join(f"<option value='{value}'>{words}</option>" for value, words in _ORDERS.items())
    body = f"""
<main>
<header>
<h1>The class <small>{escape(title)}</small></h1>
<p id="now" role="status">The class is being read.</p>
</header>
<section id="closed" hidden>
<h2 id="closed-head"></h2>
<p id="closed-words"></p>
<pre id="closed-command" hidden></pre>
</section>
<div id="open" hidden>
<nav aria-label="What to show">
<label>Order <select id="order">{options}</select></label>
<label>Find <input id="find" type="search" autocomplete="off" placeholder="a name or an exercise"></label>
<span class="files"><a href="export.csv" download>CSV</a> <a href="export.json" download>JSON</a>
<button id="out" type="button">Sign out</button></span>
</nav>
<section aria-label="Learners">
<h2>Who is where</h2>
{_table("learners", "", _LEARNERS)}
<p id="nobody" hidden>Nobody has joined yet. <code>ai-lab class serve</code> has printed the link for learners.</p>
</section>
<section id="wrong-part" aria-label="What goes wrong most">
<h2>What goes wrong most</h2>
{_table("wrong", "Failed checks by what they said; what was said to most learners comes first.", _WRONG)}
</section>
<section id="exercises-part" aria-label="Exercises">
<h2>Exercises</h2>
{_table("exercises", "The exercises that somebody began.", _EXERCISES)}
</section>
</div>
</main>
"""
    return html.page("The class", body, "class.css", "class.js", asks_its_server=True)
