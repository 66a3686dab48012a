"use strict";
// Which view, keys, light and dark.
(() => {
  const main = document.getElementById("main");
  const field = document.getElementById("search");
  const viewer = document.getElementById("viewer");
  let view = null;
  let before = "#/";

  gallery.start = (facts) => {
    gallery.facts = facts;
    gallery.starts = [0];
    for (const size of facts.sizes) gallery.starts.push(gallery.starts.at(-1) + size);
    gallery.filled = facts.sizes.flatMap((size, cluster) => (size > 0 ? [cluster] : []));
    const known = gallery.filled.map((cluster) => facts.tightness[cluster]);
    const largest = known.reduce((most, value) => Math.max(most, value), 0);
    gallery.looseness = (cluster) => (largest > 0 ? facts.tightness[cluster] / largest : 0);
    show();
  };

  async function show() {
    const [, name = "", argument = ""] = location.hash.match(/^#\/([a-z]*)\/?(.*)$/) ?? [];
    const wanted = gallery.views[name] ? name : "overview";
    if (view === "overview" && wanted !== "overview") {
      gallery.views.overview.leave(wanted === "cluster" ? Number(argument) : null);
    }
    if (view !== null && wanted !== "search") field.value = "";
    if (wanted === "search" && document.activeElement !== field) {
      field.value = gallery.decoded(argument);
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
      await gallery.views[wanted](main, argument);
    } catch (error) {
      main.replaceChildren(
        gallery.el("p", { class: "empty", text: `${error.message}: is the whole folder here?` }),
      );
    }
    const heading = main.querySelector("h1");
    document.title = `${heading ? heading.textContent : "Clusters"} · ${gallery.facts.title}`;
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
    if (kept) gallery.chooseTheme(kept);
  } catch {
    // as above
  }
  const redraw = () => gallery.redrawMap && gallery.redrawMap();
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
    if (event.ctrlKey || event.metaKey || event.altKey || viewer.open) return;
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
    } else if (event.key === "t") gallery.changeTheme();
    else if (event.key.startsWith("Arrow")) {
      const moved = gallery.moveInGrid(event);
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
