// What the page does beyond HTML: times in the reader's zone, live rows, keys, forms without a reload.
// Every view works without it. Texts are only ever set as text, never as markup.

// ---- Times ----------------------------------------------------------------------------------------

function showLocalTimes(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    time.textContent = at.toLocaleString(undefined, { dateStyle: "short", timeStyle: "short" });
  }
}

showLocalTimes(document);

// ---- Forms ----------------------------------------------------------------------------------------

const disabledHere = new Set();

function disable(fields) {
  for (const field of fields) {
    if (field.disabled) continue;
    field.disabled = true;
    disabledHere.add(field);
  }
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  // A filter that was left alone stays out of the URL.
  if ("tidy" in form.dataset) {
    disable([...form.elements].filter((field) => field.name !== "" && field.value === ""));
  }
  // A button that was pressed cannot be pressed again before the answer. Disabled at once, it would not
  // be sent.
  if ("once" in form.dataset) setTimeout(() => disable(form.querySelectorAll("button")));
});

// A page that comes back from the browser's history can be sent again.
addEventListener("pageshow", () => {
  for (const field of disabledHere) field.disabled = false;
  disabledHere.clear();
});

// ---- Log in with the key of the address -----------------------------------------------------------

// The link that the service prints has the local key in its fragment, which browsers do not send. With
// API keys there is no such link: a stranger's would log the reader in with the stranger's key.
function takeKey() {
  const key = /^#key=(\w+)$/.exec(location.hash)?.[1];
  if (key === undefined) return;
  const next = location.pathname + location.search;
  history.replaceState(null, "", next);
  if (document.querySelector("[data-takes-key]") === null) return;
  const form = Object.assign(document.createElement("form"), { method: "post", action: "/ui/login", hidden: true });
  for (const [name, value] of Object.entries({ key, next })) {
    form.append(Object.assign(document.createElement("input"), { name, value }));
  }
  document.body.append(form);
  form.submit();
}

takeKey();
// The link may be opened in a tab that shows the page already.
addEventListener("hashchange", takeKey);

// ---- Live rows ------------------------------------------------------------------------------------

const live = document.querySelector("[data-live]");
let stream = null;
let numberNew = 0;

function follow() {
  if (stream !== null || document.hidden) return;
  stream = new EventSource(live.dataset.live);
  stream.addEventListener("decisions", (event) => {
    // After a break the browser continues behind the last event that it got, and so does a tab that
    // was hidden.
    live.dataset.live = withAfter(live.dataset.live, event.lastEventId);
    numberNew += Number(event.data);
    announce();
  });
  stream.addEventListener("error", () => {
    // The browser connects again by itself, unless the service refused.
    if (stream?.readyState !== EventSource.CLOSED) return;
    unfollow();
    setTimeout(follow, 10_000);
  });
}

function unfollow() {
  stream?.close();
  stream = null;
}

function withAfter(path, after) {
  const url = new URL(path, location.href);
  url.searchParams.set("after", after);
  return url.pathname + url.search;
}

function announce() {
  const button = live.querySelector("button") ?? live.appendChild(document.createElement("button"));
  button.textContent = `${numberNew} new`;
  button.onclick = showNew;
}

// Draws the list again, as the service draws it, and marks the rows that were not there.
async function showNew() {
  const response = await fetch(location.href);
  if (!response.ok || response.redirected) return location.reload();
  const drawn = new DOMParser().parseFromString(await response.text(), "text/html");
  const rows = document.getElementById("rows");
  const known = new Set([...rows.querySelectorAll("[data-id]")].map((row) => row.dataset.id));
  const fresh = document.adoptNode(drawn.getElementById("rows"));
  for (const row of fresh.querySelectorAll("[data-id]")) row.classList.toggle("new", !known.has(row.dataset.id));
  showLocalTimes(fresh);
  rows.replaceWith(fresh);
  unfollow();
  live.dataset.live = drawn.querySelector("[data-live]").dataset.live;
  numberNew = 0;
  live.replaceChildren();
  follow();
}

if (live !== null) {
  document.addEventListener("visibilitychange", () => (document.hidden ? unfollow() : follow()));
  follow();
}

// ---- Review: keys ---------------------------------------------------------------------------------

const keys = document.getElementById("keys");
let chosen = null;

// A reason is required, so the key of an action leads to the reason first.
function choose(action) {
  const button = document.querySelector(`form.resolve button[value="${action}"]`);
  if (button === null) return;
  chosen = button;
  const reason = button.form.elements.reason;
  if (reason.value.trim() === "") reason.focus();
  else button.click();
}

const actions = {
  j: () => document.querySelector('a[rel="next"]')?.click(),
  k: () => document.querySelector('a[rel="prev"]')?.click(),
  a: () => choose("approve"),
  d: () => choose("deny"),
  c: () => document.querySelector('form.resolve [name="category"]')?.focus(),
  "?": () => (keys.open = !keys.open),
};

function onKey(event) {
  if (event.key === "Enter" && event.ctrlKey && event.target.form === chosen?.form) return chosen?.click();
  if (event.key === "Escape") return document.activeElement?.blur();
  if (event.ctrlKey || event.altKey || event.metaKey || event.target.closest("input, select, textarea")) return;
  if (!Object.hasOwn(actions, event.key)) return;
  event.preventDefault();
  actions[event.key]();
}

if (keys !== null) document.addEventListener("keydown", onKey);
