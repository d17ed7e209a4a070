// Changes of the deck, kept one after the other: each says what the deck is then, and the next one
// starts from there. While tweeter does not answer they wait, and the page says so.

const AGAIN_MS = 2_000;

const form = document.getElementById("change");
const note = document.getElementById("unkept");
const waiting = []; // acts that are not kept yet, oldest first
let done = null; // ends when none is left

// Keeps a change of the deck, behind those before it.
export function keep(act) {
  waiting.push(act);
  done ??= all();
}

async function all() {
  while (waiting.length > 0) {
    const answer = await send(waiting[0]).catch(() => null); // nobody answered
    note.hidden = answer !== null;
    if (answer === null) await new Promise((resolve) => window.setTimeout(resolve, AGAIN_MS));
    else if (!answer.ok) return window.location.reload();
    else {
      waiting.shift();
      take(await answer.json());
    }
  }
  done = null;
  return undefined;
}

function send(act) {
  const data = new FormData(form);
  data.set("act", act);
  return fetch(form.action, { method: "POST", body: data, headers: { Accept: "application/json" } });
}

function take({ url, columns, seen }) {
  for (const field of document.querySelectorAll('input[name="columns"]')) field.value = columns;
  for (const field of document.querySelectorAll('input[name="seen"]')) field.value = seen;
  for (const one of document.querySelectorAll('form[action*="/change?"]')) one.action = form.action + new URL(url, location).search;
  history.replaceState(null, "", url);
  document.getElementById("wall").href = `${url}&wall=1`;
}

// A form that carries the deck waits until it carries all changes of it.
document.addEventListener("submit", (event) => {
  const { target, submitter } = event;
  if (!done || event.defaultPrevented || !target.elements.columns) return;
  event.preventDefault();
  void done.then(() => target.requestSubmit(submitter));
});
