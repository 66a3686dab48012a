"use strict";
// Clusters by number, name or class at once; images by name, piece of data after piece.
(() => {
  const { el, number } = page;
  const MAX_IMAGES = 120;
  const MAX_CLUSTERS = 24;
  let latest = 0;

  function clustersOf(text) {
    const { majorities } = page.facts;
    return page.order().filter((cluster) => {
      if (String(cluster) === text) return true;
      if ((page.names.cluster(cluster) ?? "").toLowerCase().includes(text)) return true;
      const name = majorities ? page.className(majorities[cluster]) : null;
      return name !== null && name.toLowerCase().includes(text);
    });
  }

  page.views.search = async (main, argument) => {
    const mine = (latest += 1);
    const asked = page.decoded(argument);
    const text = asked.trim().toLowerCase();
    const clusters = clustersOf(text).sort(
      (one, other) => (String(other) === text) - (String(one) === text),
    );
    const state = el("p", { class: "lead", "aria-live": "off" });
    const grid = el("div", { class: "grid small", role: "group", "aria-label": "Images" });
    const images = el("h2", { text: "Images", class: "part" });
    main.replaceChildren(
      el("div", { class: "head" }, el("h1", { text: `“${asked}”` }), state),
      ...(clusters.length === 0
        ? []
        : [
            el("h2", { text: page.plural(clusters.length, "cluster"), class: "part" }),
            el(
              "div",
              { class: "grid" },
              ...clusters.slice(0, MAX_CLUSTERS).map((cluster) => page.card(cluster)),
            ),
          ]),
      images,
      grid,
    );
    scrollTo(0, 0);
    const total = page.starts.at(-1);
    const { perChunk } = page.facts;
    const found = [];
    const list = {
      get length() {
        return found.length;
      },
      get: (index) => Promise.resolve(found[index]),
      place: (index) => ["sheets", found[index].position, total],
    };
    const chunks = Math.ceil(total / perChunk);
    for (let chunk = 0; chunk < chunks && found.length < MAX_IMAGES; chunk += 1) {
      const columns = await page.load(`members/${chunk}`);
      if (mine !== latest || !grid.isConnected) return;
      columns.name.forEach((name, index) => {
        if (found.length >= MAX_IMAGES || !name.toLowerCase().includes(text)) return;
        const position = chunk * perChunk + index;
        const record = page.row(columns, index, position, page.clusterAt(position));
        found.push(record);
        const at = found.length - 1;
        const place = list.place(at);
        grid.append(page.tile(record, ...place, list, at, `cluster ${record.cluster}`));
      });
      state.textContent = `Searched ${Math.round((100 * (chunk + 1)) / chunks)} % of the names …`;
    }
    const more = found.length >= MAX_IMAGES ? `The first ${MAX_IMAGES} images` : page.plural(found.length, "image");
    images.textContent = more;
    state.textContent =
      found.length + clusters.length === 0
        ? "No cluster has this number, name or class, and no image this in its name."
        : "Clusters by number, name or class; images by name.";
    page.say(`${page.plural(clusters.length, "cluster")}, ${more.toLowerCase()}`);
  };
})();
