// Copy buttons. Without this script they stay hidden, and the texts can be selected by hand.
const announcer = document.querySelector("body > [role=status]");

async function copy(element) {
  try {
    await navigator.clipboard.writeText(element.textContent);
    return true;
  } catch {
    // No clipboard API outside https: select the text, and copy the selection.
    getSelection().selectAllChildren(element);
    return document.execCommand("copy");
  }
}

function revealCopyButtons(within) {
  for (const button of within.querySelectorAll("[data-copy]")) {
    const label = button.firstElementChild;
    const idle = label.textContent;
    let timer;
    button.hidden = false;
    button.addEventListener("click", async () => {
      const copied = await copy(document.getElementById(button.dataset.copy));
      clearTimeout(timer);
      button.classList.toggle("done", copied);
      label.textContent = copied ? "Copied" : "Selected";
      announcer.textContent = copied ? "Copied" : "Selected. Use the copy command of your browser.";
      timer = setTimeout(() => {
        button.classList.remove("done");
        label.textContent = idle;
        announcer.textContent = "";
      }, 2000);
    });
  }
}

// Figures follow by themselves while the page is seen: what bears data-live is replaced by what the server says now, unless
// its reader is busy with it. Nothing is announced. Without this script a page is as it was when it was opened.
const INTERVAL = 15_000;
const LONGEST = 240_000;
const live = new Map();
let wait = INTERVAL;
let timer;

// A server that fails, or takes too long for something on the page, is asked less and less often.
function waitLonger() {
  wait = Math.min(wait * 2, LONGEST);
}

function isInUse(element) {
  const isTyped = (field) =>
    field.type === "checkbox" || field.type === "radio" ? field.checked !== field.defaultChecked
    : field.type === "hidden" ? false
    : "defaultValue" in field && field.value !== field.defaultValue;
  const selection = getSelection();
  const isSelected = selection && !selection.isCollapsed && selection.containsNode(element, true);
  const isEntered = element.contains(document.activeElement) && document.activeElement.matches("input, select, textarea");
  return isSelected || isEntered || [...element.querySelectorAll("input, textarea")].some(isTyped);
}

// A place that is found again in new HTML: so many steps behind the nearest element with an id.
function placeOf(element, selector) {
  const named = element.closest("[id]");
  return [named.id, [named, ...named.querySelectorAll(selector)].indexOf(element)];
}

function elementAt([id, index], selector) {
  const named = document.getElementById(id);
  return named && [named, ...named.querySelectorAll(selector)][index];
}

function replace(old, fresh) {
  const focusable = "a, button, summary, [tabindex]";
  const focused = old.contains(document.activeElement) ? placeOf(document.activeElement, focusable) : null;
  const open = [...old.querySelectorAll("details[open]")].map((details) => placeOf(details, "details"));
  const scrolled = [...old.querySelectorAll(".scroll")].map((box) => [placeOf(box, ".scroll"), box.scrollLeft, box.scrollTop]);
  old.replaceWith(fresh);
  revealCopyButtons(fresh);
  for (const place of open) {
    const details = elementAt(place, "details");
    if (details) details.open = true;
  }
  for (const [place, left, top] of scrolled) elementAt(place, ".scroll")?.scrollTo(left, top);
  if (focused) elementAt(focused, focusable)?.focus({ preventScroll: true });
}

function update(page) {
  for (const [id, html] of live) {
    const old = document.getElementById(id);
    const fresh = page.getElementById(id);
    if (old && !fresh) {
      if (!isInUse(old)) {
        old.remove();
        live.delete(id);
      }
      continue;
    }
    if (!old || fresh.outerHTML === html || isInUse(old)) continue;
    live.set(id, fresh.outerHTML);
    replace(old, document.adoptNode(fresh));
  }
}

// Figures that stand still must not look as if they followed.
function tellTheEnd() {
  const notice = document.createElement("p");
  notice.className = "notice";
  notice.textContent = "Figures no longer follow: log in again.";
  document.body.append(notice);
  announcer.textContent = notice.textContent;
}

async function refresh() {
  try {
    const response = await fetch(location.href, { headers: { accept: "text/html" }, redirect: "manual", cache: "no-store" });
    // Whoever is not let in any more, or is sent to log in, is not asked for it again and again.
    if (response.type === "opaqueredirect" || response.status === 401 || response.status === 403) {
      live.clear();
      tellTheEnd();
      return;
    }
    if (!response.ok) throw new Error(response.statusText);
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    update(page);
    if (page.querySelector("[data-slow]")) waitLonger();
    else wait = INTERVAL;
  } catch {
    waitLonger();
  }
}

function schedule(delay) {
  clearTimeout(timer);
  if (live.size === 0 || document.hidden) return;
  timer = setTimeout(async () => {
    await refresh();
    schedule(wait);
  }, delay);
}

// On a phone these are rows that are scrolled sideways: where one is must be in sight.
for (const here of document.querySelectorAll(".pages [aria-current], .quick [aria-current]")) {
  const row = here.parentElement;
  row.scrollLeft = here.offsetLeft - row.offsetLeft - (row.clientWidth - here.offsetWidth) / 2;
}

for (const element of document.querySelectorAll("[data-live][id]")) live.set(element.id, element.outerHTML);
revealCopyButtons(document);
if (document.querySelector("[data-slow]")) waitLonger();
schedule(wait);
// Whoever comes back has waited long enough.
document.addEventListener("visibilitychange", () => schedule(1000));
