"use strict";
// One cluster: its images by distance, and its nearest clusters.
(() => {
  const { el, count, number, percent } = page;
  const BATCH = 100;
  let turned = false;

  function facts(cluster) {
    const { sizes, tightness, nearDistances, purities, majorities } = page.facts;
    const shown = [
      [count(sizes[cluster]), sizes[cluster] === 1 ? "image" : "images"],
      [number(tightness[cluster]), "mean distance"],
    ];
    if (nearDistances[cluster].length > 0) {
      shown.push([number(nearDistances[cluster][0]), "to the nearest cluster"]);
    }
    const name = majorities ? page.className(majorities[cluster]) : null;
    if (name !== null) shown.push([percent(purities[cluster]), name]);
    return el(
      "ul",
      { class: "figures" },
      ...shown.map(([figure, word]) =>
        el("li", {}, el("b", { text: figure }), el("span", { text: word })),
      ),
    );
  }

  function neighbour(cluster, by, key, word) {
    const order = page.order();
    const next = order[order.indexOf(cluster) + by];
    const props = { class: "step icon", id: key, "aria-label": word, text: by < 0 ? "‹" : "›" };
    if (next === undefined) return el("a", { ...props, "aria-disabled": true });
    return el("a", { ...props, href: `#/cluster/${next}` });
  }

  page.views.cluster = async (main, argument) => {
    const cluster = Number(argument);
    const { sizes, near, nearDistances } = page.facts;
    if (!(sizes[cluster] > 0)) {
      main.replaceChildren(
        el("p", { class: "empty", text: `There is no image in a cluster ${argument}.` }),
      );
      return;
    }
    const start = page.starts[cluster];
    const size = sizes[cluster];
    const total = page.starts.at(-1);
    const position = (index) => start + (turned ? size - 1 - index : index);
    const list = {
      length: size,
      get: (index) => page.record(position(index)),
      place: (index) => ["sheets", position(index), total],
    };
    const grid = el("div", { class: "grid small", role: "group", "aria-label": "Images" });
    const choice = el(
      "select",
      { id: "sort", "aria-label": "Order of the images" },
      el("option", { value: "near", text: "Nearest to the centroid first", selected: !turned }),
      el("option", { value: "far", text: "Farthest first", selected: turned }),
    );
    choice.addEventListener("change", () => {
      turned = choice.value === "far";
      page.views.cluster(main, argument).then(() => document.getElementById("sort").focus());
    });
    const close = near[cluster].map((other, index) =>
      page.card(other, `at ${number(nearDistances[cluster][index])}`),
    );
    main.replaceChildren(
      el(
        "div",
        { class: "head" },
        el(
          "div",
          { class: "title" },
          el("h1", { "data-cluster": cluster }),
          neighbour(cluster, -1, "previous", "Cluster before"),
          neighbour(cluster, 1, "next", "Next cluster"),
          el("span", { class: "number soft" }),
        ),
        facts(cluster),
        el(
          "div",
          { class: "tools" },
          el("button", { type: "button", "data-do": "cluster", text: "Name" }),
          el("button", { type: "button", id: "rubbish", "data-do": "cluster-rubbish", text: "Rubbish" }),
          choice,
        ),
      ),
      ...(close.length === 0
        ? []
        : [
            el(
              "section",
              { class: "near", "aria-label": "Nearest clusters" },
              el("h2", { text: "Nearest clusters" }),
              el("div", { class: "strip" }, ...close),
            ),
          ]),
      grid,
    );
    page.naming.paint();
    scrollTo(0, 0);
    await page.inParts(grid, size, BATCH, async (from, to) => {
      const tiles = [];
      for (let index = from; index < to; index += 1) {
        const record = await list.get(index);
        const place = list.place(index);
        tiles.push(page.tile(record, ...place, list, index, number(record.distance)));
      }
      return tiles;
    });
  };
})();
