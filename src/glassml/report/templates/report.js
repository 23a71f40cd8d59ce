"use strict";
// The page is whole without this: search, opening what is folded, and the view of the rings.
(() => {
  const field = document.getElementById("search");
  const list = document.getElementById("found");
  const words = (node) => node.textContent.replace(/\s+/g, " ").trim();

  const open = (node) => {
    for (let fold = node.closest("details"); fold; fold = fold.parentElement.closest("details")) {
      fold.open = true;
    }
  };
  const goTo = (node) => {
    open(node);
    node.scrollIntoView();
    node.classList.add("sought");
    setTimeout(() => node.classList.remove("sought"), 2000);
  };
  const follow = () => {
    const node = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (node) goTo(node);
  };
  addEventListener("hashchange", follow);
  document.addEventListener("click", (event) => {
    const link = event.target.closest('a[href^="#"]');
    // A second click on the same link changes no hash.
    if (link && link.getAttribute("href") === location.hash) follow();
  });
  follow();

  const entries = [];
  for (const node of document.querySelectorAll("section, figure[id], tbody tr, .missing, .code")) {
    const heading = node.querySelector("h2, h3, summary, b") || node;
    const row = node.tagName === "TR";
    const parent = row ? node.closest("figure").querySelector("h3") : null;
    const title = row ? words(parent) + ": " + words(node).slice(0, 90) : words(heading);
    const text = node.tagName === "SECTION" ? title : words(node);
    entries.push({ node, title, text: text.toLowerCase(), rank: row ? 1 : 0 });
  }
  const search = () => {
    const sought = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    list.replaceChildren();
    if (!sought.length) return;
    const found = entries.filter((entry) => sought.every((word) => entry.text.includes(word)));
    const weight = (entry) =>
      entry.rank + (sought.every((word) => entry.title.toLowerCase().includes(word)) ? 0 : 2);
    found.sort((one, other) => weight(one) - weight(other));
    for (const entry of found.slice(0, 30)) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = entry.title;
      button.addEventListener("click", () => goTo(entry.node));
      const item = document.createElement("li");
      item.append(button);
      list.append(item);
    }
    if (!found.length) list.append(Object.assign(document.createElement("li"), { textContent: "Nothing found." }));
  };
  field.addEventListener("input", search);
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter") list.querySelector("button")?.click();
    if (event.key === "Escape") { field.value = ""; search(); field.blur(); }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && event.target !== field) {
      event.preventDefault();
      field.focus();
    }
  });

  let closed = [];
  addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details:not([open]):not(.code):not(.index)")];
    closed.forEach((fold) => { fold.open = true; });
  });
  addEventListener("afterprint", () => closed.forEach((fold) => { fold.open = false; }));

  for (const button of document.querySelectorAll("button[data-view]")) {
    button.addEventListener("click", async () => {
      button.disabled = true;
      const packed = document.getElementById(button.dataset.view).textContent;
      const bytes = Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0));
      const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
      const frame = document.createElement("iframe");
      frame.title = button.textContent;
      frame.setAttribute("sandbox", "allow-scripts");
      frame.srcdoc = await new Response(stream).text();
      button.replaceWith(frame);
    });
  }
})();
