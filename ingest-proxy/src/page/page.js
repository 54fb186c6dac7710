// Fetches the part of the page that changes, while somebody looks. All works without it.
"use strict";

const refreshMilliseconds = 5000;
const limitMilliseconds = 15000;
const patienceMilliseconds = 20000;
const live = document.getElementById("live");
const stale = document.getElementById("stale");
let answered = Date.now();

function tell(text) {
  stale.textContent = text;
  stale.hidden = text === "";
  live.classList.toggle("stale", text !== "");
}

async function refresh() {
  // What is being selected or pointed at isn't pulled away, for a while.
  const selection = document.getSelection();
  const selecting = !selection.isCollapsed && live.contains(selection.anchorNode);
  const busy = selecting || live.querySelector(".tip:hover, details[open], form :focus");
  if (document.hidden || (busy && Date.now() - answered < patienceMilliseconds)) return;
  try {
    const options = { cache: "no-store", signal: AbortSignal.timeout(limitMilliseconds) };
    const response = await fetch("/fragment" + location.search, options);
    if (response.status === 403) {
      tell("The proxy was started again. Open the address that it printed.");
      return;
    }
    if (!response.ok) throw new Error(response.statusText);
    live.innerHTML = await response.text();
    answered = Date.now();
    tell("");
  } catch {
    tell(`No answer from the proxy for ${Math.round((Date.now() - answered) / 1000)} s.`);
  }
}

// A page that takes long to make is asked for less often.
async function keepFresh() {
  const began = Date.now();
  await refresh();
  setTimeout(keepFresh, Math.max(refreshMilliseconds, 20 * (Date.now() - began)));
}

setTimeout(keepFresh, refreshMilliseconds);
document.addEventListener("visibilitychange", refresh);

const copy = document.getElementById("copy");
if (navigator.clipboard) {
  copy.hidden = false;
  copy.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById("ingest").textContent);
    copy.textContent = "Copied";
    setTimeout(() => { copy.textContent = "Copy"; }, 2000);
  });
}
