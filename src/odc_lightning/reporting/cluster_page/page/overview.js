"use strict";
// All clusters.
(() => {
  const { el, count, number, percent } = page;
  const BATCH = 60;
  const SORTS = {
    size: ["Size", -1, (cluster) => page.facts.sizes[cluster]],
    tightness: ["Tightness", 1, (cluster) => page.facts.tightness[cluster]],
    apart: ["Distance to nearest", -1, (c) => page.facts.nearDistances[c][0] ?? 0],
    purity: ["Purity", -1, (cluster) => page.facts.purities[cluster] ?? -1],
    class: ["Class", 1, (cluster) => page.facts.majorities[cluster]],
    name: ["Name, unnamed first", 1, null],
    number: ["Number", 1, (cluster) => cluster],
  };
  const state = { sort: "size", turned: false, shown: BATCH, scroll: 0, last: null };

  // The clusters in the chosen order; the arrows of a cluster's page follow it too.
  page.order = () => {
    const [, sign, given] = SORTS[state.sort];
    const key = given ?? byName();
    const direction = state.turned ? -sign : sign;
    return page.filled
      .slice()
      .sort((one, other) => direction * (key(one) - key(other)) || one - other);
  };

  // Clusters without a name first, then by name, rubbish last.
  function byName() {
    const rank = new Map(page.names.used().map((name, index) => [name, index]));
    return (cluster) => {
      const name = page.names.cluster(cluster);
      return name === undefined ? -1 : name === null ? rank.size : rank.get(name);
    };
  }

  function figures() {
    const { purity, sizes, tightness } = page.facts;
    const filled = page.filled;
    const sorted = filled.map((cluster) => sizes[cluster]).sort((one, other) => one - other);
    const all = sorted.reduce((sum, size) => sum + size, 0);
    const mean = filled.reduce((sum, c) => sum + tightness[c] * sizes[c], 0) / all;
    const shown = [
      [count(all), "images"],
      [count(filled.length), "clusters"],
      [count(sorted[sorted.length >> 1]), "median size"],
      [number(mean), "mean distance"],
    ];
    if (purity !== null) shown.push([percent(purity), "purity"]);
    return el(
      "ul",
      { class: "figures" },
      ...shown.map(([figure, word]) =>
        el("li", {}, el("b", { text: figure }), el("span", { text: word })),
      ),
    );
  }

  page.views.overview = async (main) => {
    const offered = Object.entries(SORTS).filter(
      ([key]) => page.facts.purities || !["purity", "class"].includes(key),
    );
    const choice = el(
      "select",
      { id: "sort", "aria-label": "Sort clusters by" },
      ...offered.map(([key, [name]]) =>
        el("option", { value: key, text: name, selected: key === state.sort }),
      ),
    );
    const turn = el("button", { type: "button", class: "icon", id: "turn", text: "↑↓" });
    turn.setAttribute("aria-label", "Turn the order round");
    turn.setAttribute("aria-pressed", state.turned);
    const grid = el("div", { class: "grid", role: "group", "aria-label": "Clusters" });
    const redraw = () => {
      Object.assign(state, { shown: BATCH, scroll: 0, last: null });
      page.views.overview(main).then(() => document.getElementById("sort").focus());
    };
    choice.addEventListener("change", () => {
      Object.assign(state, { sort: choice.value, turned: false });
      redraw();
    });
    turn.addEventListener("click", () => {
      state.turned = !state.turned;
      redraw();
    });
    main.replaceChildren(
      el(
        "div",
        { class: "head" },
        el("h1", { text: page.facts.title }),
        figures(),
        el("div", { class: "tools" }, el("label", { for: "sort", text: "Sort by" }), choice, turn),
      ),
      grid,
    );
    const order = page.order();
    await page.inParts(
      grid,
      order.length,
      BATCH,
      (from, to) => order.slice(from, to).map((cluster) => page.card(cluster)),
      state.shown,
    );
    scrollTo(0, state.scroll);
    const last = state.last !== null && grid.querySelector(`[data-cluster="${state.last}"]`);
    if (last) last.focus({ preventScroll: true });
  };

  page.views.overview.leave = (cluster) => {
    const grid = document.querySelector("main > .grid");
    if (grid) state.shown = Number(grid.dataset.shown);
    Object.assign(state, { scroll: scrollY, last: cluster });
  };
})();
