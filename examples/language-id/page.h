// GET /: one page without anything from elsewhere. What comes from the server enters it as text, never as HTML.
#pragma once

#include <string_view>

namespace nines::language_id {

inline constexpr std::string_view kPage = R"html(<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Which language is it?</title>
<style>
:root { color-scheme: light dark; --line: light-dark(#d5d9e0, #39404d); --quiet: light-dark(#5b6472, #98a2b3);
        --accent: light-dark(#0b63ce, #6cb0ff); --bad: light-dark(#b42318, #ff8a80); }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.05rem; margin-top: 2rem; }
textarea { width: 100%; box-sizing: border-box; font: inherit; padding: .6rem; border: 1px solid var(--line); border-radius: 6px; }
button { font: inherit; padding: .4rem 1.1rem; margin-top: .4rem; border: 0; border-radius: 6px;
         background: var(--accent); color: light-dark(#fff, #0c1420); cursor: pointer; }
output { display: block; min-height: 4.2rem; margin-top: 1rem; }
output b { font-size: 1.5rem; margin-right: .4rem; } .bad { color: var(--bad); } .quiet { color: var(--quiet); font-size: .85rem; }
meter { width: 12rem; vertical-align: middle; margin-right: .5rem; }
table { width: 100%; border-collapse: collapse; font-size: .9rem; }
td, th { text-align: left; padding: .3rem .6rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
td:last-child { overflow-wrap: anywhere; } th { color: var(--quiet); font-weight: normal; }
</style>
</head>
<body>
<h1>Which language is it?</h1>
<form id="form">
  <label for="text" class="quiet">A sentence in German, English, Spanish, Finnish, French, Italian, Dutch, Polish, Portuguese,
    Russian, Swedish or Turkish</label>
  <textarea id="text" rows="4" maxlength="10000" required>Guten Morgen</textarea>
  <button>Classify</button>
</form>
<output id="result" for="text" aria-live="polite"></output>
<h2>Recent</h2>
<table>
  <thead><tr><th scope="col">Time</th><th scope="col">Language</th><th scope="col">Confidence</th><th scope="col">Process</th><th scope="col">Text</th></tr></thead>
  <tbody id="rows"></tbody>
</table>
<p id="problem" class="quiet"></p>
<script>
const $ = id => document.getElementById(id);
const names = {de: 'German', en: 'English', es: 'Spanish', fi: 'Finnish', fr: 'French', it: 'Italian', nl: 'Dutch',
               pl: 'Polish', pt: 'Portuguese', ru: 'Russian', sv: 'Swedish', tr: 'Turkish'};
const percent = x => (100 * x).toFixed(1) + ' %';
const element = (tag, text, className) => {
  const made = document.createElement(tag);
  made.textContent = text;
  if (className) made.className = className;
  return made;
};

async function ask(path, options) {
  const response = await fetch(path, options);
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(answer.error?.message ?? 'status ' + response.status);
  return [answer, response.headers];
}

async function classify(text) {
  try {
    const [answer, headers] = await ask('/classify', {method: 'POST', headers: {'Content-Type': 'application/json'},
                                                      body: JSON.stringify({text})});
    const meter = document.createElement('meter');
    meter.value = answer.confidence;
    $('result').replaceChildren(
      element('b', names[answer.label] ?? answer.label), meter, element('span', percent(answer.confidence)),
      element('div', `answered by process ${headers.get('X-Process-Id')} with ${answer.model}, request ${answer.request_id}`, 'quiet'));
  } catch (error) {
    $('result').replaceChildren(element('span', error.message, 'bad'));
  }
}

async function show() {
  try {
    const [answer] = await ask('/history?limit=10');
    $('rows').replaceChildren(...answer.history.map(row => {
      const line = document.createElement('tr');
      line.append(element('td', new Date(row.time).toLocaleTimeString()), element('td', names[row.label] ?? row.label),
                  element('td', percent(row.confidence)), element('td', row.pid), element('td', row.text.slice(0, 200)));
      return line;
    }));
    $('problem').textContent = answer.history.length ? '' : 'nothing yet';
  } catch (error) {
    $('problem').textContent = error.message;
  }
}

$('form').addEventListener('submit', async event => {
  event.preventDefault();
  await classify($('text').value);
  setTimeout(show, 100);  // rows are written behind the answers
});
show();
setInterval(show, 3000);
</script>
</body>
</html>
)html";

}  // namespace nines::language_id
