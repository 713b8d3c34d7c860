// Copy buttons. Without this script they stay hidden, and the texts can be selected by hand.
const announcer = document.querySelector("[role=status]");

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

for (const button of document.querySelectorAll("[data-copy]")) {
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
