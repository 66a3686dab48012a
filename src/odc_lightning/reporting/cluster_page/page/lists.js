"use strict";
// Lists of images from all over the set: outliers, near-duplicates, what cannot be shown.
(() => {
  const { el, count, number } = page;

  async function columns(name) {
    const data = await page.load(name);
    const records = data.position.map((position, index) =>
      page.row(data, index, position, data.cluster[index]),
    );
    return { data, records };
  }

  const listOf = (folder, records) => ({
    length: records.length,
    get: (index) => Promise.resolve(records[index]),
    place: (index) => [folder, index, records.length],
  });

  function heading(title, text) {
    return el(
      "div",
      { class: "head" },
      el("h1", { text: title }),
      el("p", { class: "lead", text }),
    );
  }

  page.views.outliers = async (main) => {
    const { records } = await columns("outliers");
    const list = listOf("outliers", records);
    const tiles = records.map((record, index) =>
      page.tile(record, ...list.place(index), list, index, `${number(record.score)}×`),
    );
    main.replaceChildren(
      heading(
        "Outliers",
        `The ${count(records.length)} images that lie farthest from their ten nearest, as a ` +
          "multiple of what is usual in the set.",
      ),
      el("div", { class: "grid small", role: "group", "aria-label": "Outliers" }, ...tiles),
    );
    scrollTo(0, 0);
  };

  page.views.duplicates = async (main) => {
    const { data, records } = await columns("duplicates");
    const list = listOf("duplicates", records);
    const { groups, images } = page.facts.duplicates;
    let from = 0;
    const rows = data.groups.shown.map((length, group) => {
      const tiles = records
        .slice(from, from + length)
        .map((record, index) =>
          page.tile(
            record,
            ...list.place(from + index),
            list,
            from + index,
            `cluster ${record.cluster}`,
          ),
        );
      from += length;
      const all = data.groups.all[group];
      const more = all > length ? `, ${count(length)} of them here` : "";
      return el(
        "section",
        { class: "group", "aria-label": `Group of ${all}` },
        el("h2", { text: `${count(all)} alike${more}` }),
        el("div", { class: "grid small" }, ...tiles),
      );
    });
    const text =
      groups === 0
        ? "No two images are nearly the same picture."
        : `${page.plural(images, "image")} in ${page.plural(groups, "group")} of pictures ` +
          `that are nearly the same${groups > rows.length ? `; the ${count(rows.length)} largest groups are here` : ""}.`;
    main.replaceChildren(
      heading("Near-duplicates", text),
      el("div", { class: "groups" }, ...rows),
    );
    scrollTo(0, 0);
  };

  page.views.problems = async (main) => {
    const { data, records } = await columns("problems");
    const rows = records.map((record, index) =>
      el(
        "tr",
        {},
        el("td", {}, el("a", { href: `#/cluster/${record.cluster}`, text: record.cluster })),
        el("td", { text: record.name }),
        el("td", { class: "soft", text: data.reason[index] }),
      ),
    );
    main.replaceChildren(
      heading(
        "Images that cannot be shown",
        `${page.plural(page.facts.problems, "image")} could not be loaded when this page ` +
          "was made. They keep their clusters, and a crossed square stands for them.",
      ),
      el(
        "table",
        {},
        el(
          "thead",
          {},
          el("tr", {}, ...["Cluster", "Image", "Reason"].map((text) => el("th", { text }))),
        ),
        el("tbody", {}, ...rows),
      ),
    );
    scrollTo(0, 0);
  };

  page.views.about = (main) => {
    main.replaceChildren(document.getElementById("about").content.cloneNode(true));
    main.querySelector("#threshold").textContent = page.facts.duplicates.threshold;
    scrollTo(0, 0);
  };
})();
