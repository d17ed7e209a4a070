// A check may take a while: say so, and do not ask twice.

import { say } from "./words.js";

document.querySelector("form.ask")?.addEventListener("submit", (event) => {
  event.target.querySelector("button").disabled = true;
  document.getElementById("asked").textContent = say("Checking. This takes up to 45 seconds.");
});
