"use strict";
// All that was said, by name; and the images that a person should look at next.
(() => {
  const { el, names, plural, count } = page;

  // The facts of images by name, from as many pieces of data as it takes.
  async function find(wanted) {
    const found = new Map();
    const left = new Set(wanted);
    const { perChunk } = page.facts;
    const chunks = Math.ceil(page.starts.at(-1) / perChunk);
    for (let chunk = 0; chunk < chunks && left.size > 0; chunk += 1) {
      const columns = await page.load(`members/${chunk}`);
      columns.name.forEach((name, index) => {
        if (!left.delete(name)) return;
        const position = chunk * perChunk + index;
        found.set(name, page.row(columns, index, position, page.clusterAt(position)));
      });
    }
    return found;
  }

  function grid(images, found) {
    const shown = images.map((name) => found.get(name)).filter(Boolean);
    const list = {
      length: shown.length,
      get: (index) => Promise.resolve(shown[index]),
      place: (index) => ["sheets", shown[index].position, page.starts.at(-1)],
    };
    return el(
      "div",
      { class: "grid small", role: "group", "aria-label": "Images" },
      ...shown.map((record, index) =>
        page.tile(record, ...list.place(index), list, index, `cluster ${record.cluster}`),
      ),
    );
  }

  function section(title, detail, buttons, ...content) {
    return el(
      "section",
      { class: "group", "aria-label": title },
      el(
        "div",
        { class: "caption-line" },
        el("h2", { text: title }),
        el("span", { class: "soft", text: detail }),
        ...buttons,
      ),
      ...content,
    );
  }

  const button = (text, action) => el("button", { type: "button", class: "chip", text, onclick: action });

  function ofName(name, clusters, images, found) {
    const { sizes } = page.facts;
    const size = clusters.reduce((sum, cluster) => sum + sizes[cluster], 0);
    const parts = [];
    if (clusters.length > 0) parts.push(`${plural(clusters.length, "cluster")} of ${plural(size, "image")}`);
    if (images.length > 0) parts.push(`${plural(images.length, "image")} by hand`);
    const rename = () => page.naming.ask({ rename: name }, `Another name for ${name}`, name);
    return section(
      page.naming.shownName(name),
      parts.join(", "),
      name === null ? [] : [button("Rename", rename)],
      el("div", { class: "strip" }, ...clusters.map((cluster) => page.card(cluster, count(sizes[cluster])))),
      images.length > 0 ? grid(images, found) : null,
    );
  }

  function pairs(kind, list, found) {
    if (list.length === 0) return null;
    const rows = list.map(([one, other]) => {
      const remove = button("Take back", () => names.unpair(one, other));
      return el("div", { class: "pair" }, grid([one, other], found), remove);
    });
    return section(kind === "together" ? "Belong together" : "Belong apart", plural(list.length, "pair"), [], ...rows);
  }

  function files() {
    const input = el("input", { type: "file", accept: ".json,application/json", class: "unseen", id: "file", tabindex: -1, "aria-label": "labels.json" });
    input.addEventListener("change", async () => {
      try {
        const own = names.load(await input.files[0].text());
        page.say("Loaded");
        if (!own) names.tell("The file is of another clustering: it gave the names of images, and none of clusters.");
      } catch (error) {
        names.tell(`The file was not loaded: ${error.message}.`);
      }
    });
    return [
      input,
      button("Load labels.json", () => input.click()),
      el("button", { type: "button", class: "chip", "data-do": "save", text: "Save labels.json" }),
      button("Forget all", names.forget),
    ];
  }

  let latest = 0;

  page.views.labels = async (main) => {
    const mine = (latest += 1);
    const { clusters, images, together, apart } = names.all();
    const found = await find([...images.keys(), ...together.flat(), ...apart.flat()]);
    if (mine !== latest || document.body.dataset.view !== "labels") return;
    const focused = document.activeElement.title;
    const of = (map, wanted) => [...map].filter(([, name]) => name === wanted).map(([key]) => key);
    const wrong = of(images, false);
    const rubbish = [of(clusters, null), of(images, null)];
    const parts = [
      ...names.used().map((name) => ofName(name, of(clusters, name), of(images, name), found)),
      rubbish.flat().length > 0 ? ofName(null, ...rubbish, found) : null,
      wrong.length > 0 ? section("Do not belong", plural(wrong.length, "image"), [], grid(wrong, found)) : null,
      pairs("together", together, found),
      pairs("apart", apart, found),
    ].filter(Boolean);
    const lost = [...images.keys()].filter((name) => !found.has(name)).length;
    main.replaceChildren(
      el(
        "div",
        { class: "head" },
        el("h1", { text: "Labels" }),
        el("p", {
          class: "lead",
          text:
            parts.length === 0
              ? "Nothing has a name yet. Press n on a cluster to name it, r if it is rubbish; clusters of one name are one group."
              : `${plural(names.used().length, "name")}${lost > 0 ? `; ${plural(lost, "image")} of the labels not in this run` : ""}. labels.json holds all of it for odc label, odc assign and a second training.`,
        }),
        el("div", { class: "tools" }, ...files()),
      ),
      el("div", { class: "groups" }, ...parts),
    );
    if (main.dataset.ready !== location.hash) scrollTo(0, 0);
    else if (focused) {
      // It is the same view, changed: the focus stays on its image.
      const again = [...main.querySelectorAll(".tile")].find((tile) => tile.title === focused);
      if (again) again.focus({ preventScroll: true });
    }
  };

  page.views.next = async (main) => {
    const data = await page.load("next");
    const records = data.position.map((position, index) => ({
      ...page.row(data, index, position, data.cluster[index]),
      guess: data.guess[index],
      probability: data.probability[index],
    }));
    const list = {
      length: records.length,
      get: (index) => Promise.resolve(records[index]),
      place: (index) => ["next", index, records.length],
    };
    const tiles = records.map((record, index) =>
      page.tile(record, ...list.place(index), list, index, `${page.naming.shownName(record.guess)}? ${page.percent(record.probability)}`),
    );
    main.replaceChildren(
      el(
        "div",
        { class: "head" },
        el("h1", { text: "To name next" }),
        el("p", {
          class: "lead",
          text:
            `The ${count(records.length)} images of whose names the classifier is least sure, the least first. ` +
            "Press y if its guess is right, n for another name, r for rubbish.",
        }),
      ),
      el("div", { class: "grid small", role: "group", "aria-label": "Images" }, ...tiles),
    );
    scrollTo(0, 0);
  };
})();
