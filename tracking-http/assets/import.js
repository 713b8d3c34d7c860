// Sends a file to the API, and shows what becomes of its lines while they are done. Without this script lines can be pasted.
const find = (id) => document.getElementById(id);
const form = find("file-form");
const progress = find("progress");
const words = find("progress-words");
const problem = find("file-problem");
// More rows than these only slow a browser down.
const SHOWN = 1000;
// The result that can be downloaded.
let offered = null;

// Takes CSV in pieces, and hands on each record that is complete.
function records(take) {
  let cell = "", row = [], quoted = false, closing = false;
  return (text) => {
    for (const c of text) {
      if (closing) {
        closing = false;
        if (c === '"') { cell += c; continue; }
        quoted = false;
      }
      if (quoted) {
        if (c === '"') closing = true; else cell += c;
      } else if (c === '"') {
        quoted = true;
      } else if (c === ",") {
        row.push(cell);
        cell = "";
      } else if (c === "\n") {
        take([...row, cell]);
        row = [];
        cell = "";
      } else if (c !== "\r") {
        cell += c;
      }
    }
  };
}

function element(name, className, text) {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = text;
  return made;
}

function flag(outcome, taken) {
  return element("span", taken ? "flag" : "flag bad", `${taken ? "✓" : "✕"} ${outcome}`);
}

function shownLine([line, outcome, status, message, conversion]) {
  const row = document.createElement("tr");
  row.dataset.test = "line";
  const number = element("th", "name", line);
  number.scope = "row";
  const verdict = document.createElement("td");
  verdict.dataset.label = "Outcome";
  verdict.append(flag(outcome, status === "200"));
  const link = document.createElement("td");
  link.dataset.label = "Conversion";
  if (conversion) {
    const anchor = element("a", "", conversion);
    anchor.href = form.dataset.conversions + conversion;
    link.append(anchor);
  } else {
    link.append(element("span", "none", "—"));
  }
  row.append(number, verdict, element("td", "what", message), link);
  return row;
}

async function send(file) {
  const lines = (await file.text()).trimEnd().split(/\r\n|\n|\r/).length;
  const counts = new Map();
  let answered = 0, last = 1, isHeader = true, result = "", waiting = [];
  progress.max = lines;
  progress.value = 0;
  const show = () => {
    progress.value = last;
    words.textContent = `${answered.toLocaleString("en")} answered: line ${last.toLocaleString("en")} of ${lines.toLocaleString("en")}`;
    find("file-lines").prepend(...waiting.reverse().slice(0, SHOWN));
    waiting = [];
    while (find("file-lines").rows.length > SHOWN) find("file-lines").lastElementChild.remove();
    find("file-counts").replaceChildren(...[...counts].sort().map(([outcome, { count, taken }]) => {
      const item = document.createElement("li");
      item.append(flag(outcome, taken), ` ${count.toLocaleString("en")}`);
      return item;
    }));
  };
  const read = records((record) => {
    if (isHeader) { isHeader = false; return; }
    const [line, outcome, status] = record;
    const counted = counts.get(outcome) ?? { count: 0, taken: status === "200" };
    counted.count += 1;
    counts.set(outcome, counted);
    answered += 1;
    last = Number(line);
    waiting.push(shownLine(record));
  });
  const response = await fetch(form.dataset.import, { method: "POST", headers: { "content-type": "text/csv" }, body: file });
  if (!response.ok) {
    const answer = await response.json().catch(() => ({}));
    words.textContent = "Nothing was imported";
    problem.textContent = answer.message ?? `The server answers ${response.status}.`;
    problem.hidden = false;
    return;
  }
  let isWhole = false;
  try {
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      result += part.value;
      read(part.value);
      show();
    }
    isWhole = true;
    last = lines;
    show();
    words.textContent = `Done: ${answered.toLocaleString("en")} ${answered === 1 ? "line" : "lines"}`;
  } finally {
    // What was answered is worth having, also if the rest never comes.
    offered = URL.createObjectURL(new Blob([result], { type: "text/csv" }));
    find("file-result").href = offered;
    find("file-more").hidden = isWhole ? answered <= SHOWN : answered === 0;
  }
}

form.hidden = false;
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = form.querySelector("button");
  button.disabled = true;
  problem.hidden = true;
  find("file-more").hidden = true;
  if (offered) URL.revokeObjectURL(offered);
  offered = null;
  find("file-result").removeAttribute("href");
  find("file-lines").replaceChildren();
  find("file-counts").replaceChildren();
  find("by-file").hidden = false;
  words.textContent = "Sending";
  find("result-of-file").focus();
  try {
    await send(find("file").files[0]);
  } catch (error) {
    words.textContent = "It ended early";
    problem.textContent = `${error.message} The same file can be sent again: no line counts twice.`;
    problem.hidden = false;
  }
  button.disabled = false;
});
