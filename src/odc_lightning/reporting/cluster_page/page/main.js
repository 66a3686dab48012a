"use strict";
// Which view, keys, light and dark.
(() => {
  const main = document.getElementById("main");
  const field = document.getElementById("search");
  const viewer = document.getElementById("viewer");
  let view = null;
  let before = "#/";

  page.start = (facts) => {
    page.facts = facts;
    page.starts = [0];
    for (const size of facts.sizes) page.starts.push(page.starts.at(-1) + size);
    page.filled = facts.sizes.flatMap((size, cluster) => (size > 0 ? [cluster] : []));
    const known = page.filled.map((cluster) => facts.tightness[cluster]);
    const largest = known.reduce((most, value) => Math.max(most, value), 0);
    page.looseness = (cluster) => (largest > 0 ? facts.tightness[cluster] / largest : 0);
    page.naming.paint();
    page.names.start().then(show);
  };
  // The other views show names in place.
  page.names.onChange(() => view === "labels" && show());

  async function show() {
    const [, name = "", argument = ""] = location.hash.match(/^#\/([a-z]*)\/?(.*)$/) ?? [];
    const wanted = page.views[name] ? name : "overview";
    if (view === "overview" && wanted !== "overview") {
      page.views.overview.leave(wanted === "cluster" ? Number(argument) : null);
    }
    if (view !== null && wanted !== "search") field.value = "";
    if (wanted === "search" && document.activeElement !== field) {
      field.value = page.decoded(argument);
    }
    if (wanted !== "search" && wanted !== "cluster") before = location.hash || "#/";
    view = wanted;
    document.body.dataset.view = wanted;
    for (const link of document.querySelectorAll("nav a")) {
      const here = link.dataset.view === (wanted === "cluster" ? "overview" : wanted);
      if (here) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    try {
      await page.views[wanted](main, argument);
    } catch (error) {
      main.replaceChildren(
        page.el("p", { class: "empty", text: `${error.message}: is the whole folder here?` }),
      );
    }
    const heading = main.querySelector("h1");
    document.title = `${heading ? heading.textContent : "Clusters"} · ${page.facts.title}`;
    main.dataset.ready = location.hash;
    performance.mark(`view ${wanted}`);
  }

  // Each view knows where to scroll to.
  history.scrollRestoration = "manual";
  addEventListener("hashchange", () => {
    if (viewer.open) viewer.close();
    show();
  });

  let typing = 0;
  field.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => {
      const text = field.value.trim();
      const address = text === "" ? before : `#/search/${encodeURIComponent(text)}`;
      if (view === "search" && text !== "") history.replaceState(null, "", address);
      else location.hash = address;
      if (view === "search" && text !== "") show();
    }, 180);
  });
  document.querySelector("form.search").addEventListener("submit", (event) => {
    event.preventDefault();
    const first = main.querySelector(".card, .tile");
    if (view === "search" && first) first.focus();
  });

  // A browser may refuse to keep anything for a page from the disk.
  const KEPT = "odc-theme";
  try {
    const kept = localStorage.getItem(KEPT);
    if (kept) page.chooseTheme(kept);
  } catch {
    // as above
  }
  const redraw = () => page.redrawMap && page.redrawMap();
  document.addEventListener("theme", () => {
    redraw();
    try {
      localStorage.setItem(KEPT, document.documentElement.dataset.theme);
    } catch {
      // as above
    }
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);

  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (document.querySelector("dialog[open]")) return; // which has keys of its own
    const inField = event.target === field;
    if (event.key === "Escape") {
      if (inField && field.value !== "") {
        event.preventDefault();
        field.value = "";
        location.hash = before;
        field.blur();
      } else if (inField) field.blur();
      else if (view !== "overview") location.hash = "#/";
      return;
    }
    if (inField) {
      const first = event.key === "ArrowDown" && main.querySelector(".card, .tile");
      if (first) {
        event.preventDefault();
        first.focus();
      }
      return;
    }
    if (event.target.tagName === "SELECT") return;
    if (event.key === "/") {
      event.preventDefault();
      field.focus();
      field.select();
    } else if (event.key === "t") page.changeTheme();
    else if (event.key.startsWith("Arrow")) {
      const moved = page.moveInGrid(event);
      if (!moved && document.activeElement === document.body) {
        if (view === "cluster" && event.key === "ArrowLeft") step("previous");
        else if (view === "cluster" && event.key === "ArrowRight") step("next");
        else if (event.key === "ArrowRight" || event.key === "ArrowDown") {
          const first = main.querySelector(".card, .tile");
          if (first && view !== "cluster") {
            event.preventDefault();
            first.focus();
          }
        }
      }
    } else if (view === "cluster" && event.key === "[") step("previous");
    else if (view === "cluster" && event.key === "]") step("next");
  });

  function step(which) {
    const link = document.getElementById(which);
    if (link && link.href) link.click();
  }
})();
