"use strict";
// What a person says about clusters and images: changes, undo, and where it is kept.
page.names = (() => {
  const FORMAT = "odc-labels";
  const VERSION = 1;
  const LONGEST = 200;
  const STEPS = 500; // that can be undone
  let said = nothing();
  let changed = ""; // the time of the last change
  const before = [];
  const listeners = [];
  // The ETag of the labels.json that these names continue; null without a server.
  let base = null;
  let sending = Promise.resolve();

  function nothing() {
    return { clusters: new Map(), images: new Map(), together: [], apart: [] };
  }

  const copy = () => ({
    clusters: new Map(said.clusters),
    images: new Map(said.images),
    together: [...said.together],
    apart: [...said.apart],
  });

  // `edit` changes a copy, so the former state can come back.
  function change(edit) {
    const draft = copy();
    edit(draft);
    before.push(said);
    if (before.length > STEPS) before.shift();
    said = draft;
    keep();
  }

  function undo() {
    if (before.length === 0) return false;
    said = before.pop();
    keep();
    return true;
  }

  function set(map, key, value) {
    if (value === undefined) map.delete(key);
    else map.set(key, value);
  }

  // A name, null for rubbish, undefined to take it back.
  const nameClusters = (clusters, name) =>
    change((draft) => clusters.forEach((cluster) => set(draft.clusters, cluster, name)));

  // As above, or false for images that do not belong to the name of their cluster.
  const nameImages = (images, name) =>
    change((draft) => images.forEach((image) => set(draft.images, image, name)));

  // `kind` is together or apart; a pair is one of them. Pairs of a chain, or each with each.
  function pair(images, kind) {
    const made = new Map();
    for (let index = 1; index < images.length; index += 1) {
      for (let other = kind === "together" ? index - 1 : 0; other < index; other += 1) {
        const both = [images[other], images[index]];
        made.set(keyOf(both), both);
      }
    }
    change((draft) => {
      without(draft, made);
      draft[kind].push(...made.values());
    });
  }

  const keyOf = (both) => JSON.stringify([...both].sort());

  function without(draft, pairs) {
    for (const kind of ["together", "apart"]) {
      draft[kind] = draft[kind].filter((both) => !pairs.has(keyOf(both)));
    }
  }

  const rename = (clusters, images, name) =>
    change((draft) => {
      clusters.forEach((cluster) => set(draft.clusters, cluster, name));
      images.forEach((image) => set(draft.images, image, name));
    });

  const unpair = (one, other) =>
    change((draft) => without(draft, new Set([keyOf([one, other])])));

  const clean = (text) => text.normalize("NFC").replace(/[\s\p{Cc}\p{Cs}]+/gu, " ").trim().slice(0, LONGEST);

  function text() {
    return JSON.stringify(
      {
        format: FORMAT,
        version: VERSION,
        run: page.facts.run,
        clustering: page.facts.clustering,
        changed,
        clusters: Object.fromEntries(said.clusters),
        images: Object.fromEntries([...said.images].filter(([, name]) => name !== false)),
        wrong: [...said.images].filter(([, name]) => name === false).map(([image]) => image),
        together: said.together,
        apart: said.apart,
      },
      null,
      1,
    );
  }

  // The content of a file, checked; whatever is kept must be usable.
  function parsed(value) {
    if (!value || value.format !== FORMAT || value.version !== VERSION) {
      throw new Error("this is no labels.json of this version");
    }
    const isText = (each) => typeof each === "string";
    const named = (key) =>
      Object.entries(value[key] ?? {}).map(([of, name]) => {
        if (name !== null && !(isText(name) && clean(name) !== "")) throw new Error(`its ${key} are damaged`);
        return [of, name === null ? null : clean(name)];
      });
    const list = (key, isRight) => {
      const all = value[key] ?? [];
      if (!Array.isArray(all) || !all.every(isRight)) throw new Error(`its ${key} are damaged`);
      return all;
    };
    const isPair = (each) => Array.isArray(each) && each.length === 2 && each.every(isText);
    const own = value.clustering === page.facts.clustering;
    return {
      own: own || Object.keys(value.clusters ?? {}).length === 0,
      changed: isText(value.changed) ? value.changed : "",
      said: {
        clusters: new Map(own ? named("clusters").map(([of, name]) => [Number(of), name]) : []),
        images: new Map([
          ...list("wrong", isText).map((image) => [image, false]),
          ...named("images"),
        ]),
        together: list("together", isPair),
        apart: list("apart", isPair),
      },
    };
  }

  // Take a file in place of what is there. Names of clusters hold for one clustering only.
  function load(content) {
    const read = parsed(JSON.parse(content));
    change((draft) => Object.assign(draft, read.said));
    return read.own;
  }

  // What the browser keeps: the names, the file that they continue, and whether it has them all.
  const key = () => `odc-labels/${page.facts.clustering}`;

  function record(isSaved) {
    try {
      localStorage.setItem(key(), JSON.stringify({ file: JSON.parse(text()), base, isSaved }));
      return true;
    } catch {
      return false; // it is full, or refuses to keep anything
    }
  }

  function recorded() {
    try {
      const { file, base: of, isSaved } = JSON.parse(localStorage.getItem(key()));
      return { ...parsed(file), base: of, isSaved };
    } catch {
      return null; // nothing, or nothing that this page can use
    }
  }

  function keep() {
    // Later than what it follows, whatever a clock says.
    const least = new Date((Date.parse(changed) || 0) + 1);
    changed = new Date(Math.max(Date.now(), least)).toISOString();
    const kept = record(false);
    tell(kept || base !== null ? null : "This browser keeps nothing for this page: save labels.json.");
    if (base !== null) send();
  }

  const tell = (trouble) => listeners.forEach((listener) => listener(trouble));

  // One request at a time, each with the last state.
  function send() {
    const put = async () => {
      const sent = changed;
      const headers = { "Content-Type": "application/json", "If-Match": base };
      const answer = await fetch("labels.json", { method: "PUT", headers, body: text() });
      if (answer.ok) {
        base = answer.headers.get("ETag");
        record(sent === changed);
      } else if (answer.status === 412) {
        tell("labels.json was changed elsewhere, so nothing is saved. Save these names as a file (s), and reload.");
      } else tell(`labels.json was not saved: ${await answer.text()}`);
    };
    sending = sending.then(put).catch(() => {
      tell("The server is gone: save labels.json, or start it again.");
    });
  }

  // What a server keeps is what counts, unless this browser has changes of it that were not saved.
  async function startServed(local) {
    const answer = await fetch("labels.json", { cache: "no-store" }).catch(() => null);
    if (!answer || ![200, 204].includes(answer.status)) return false; // some other server
    const tag = answer.headers.get("ETag") ?? "";
    if (answer.status === 200 && tag === "") return false;
    const unsaved = local && !local.isSaved;
    try {
      const file = answer.status === 200 ? parsed(await answer.json()) : { said: nothing(), changed: "" };
      base = tag;
      if (unsaved && local.base === tag) {
        ({ said, changed } = local);
        send();
        return true;
      }
      ({ said, changed } = file);
      if (unsaved) {
        before.push(local.said);
        tell("labels.json was changed elsewhere and is shown. This browser has other names, which were not saved: undo (u) brings them back.");
      }
    } catch (error) {
      tell(`labels.json of the server cannot be used, and nothing is saved in it: ${error.message}.`);
      if (local) ({ said, changed } = local);
    }
    return true;
  }

  // Without a server the newest counts, of what the page came with and what the browser keeps.
  async function start() {
    const local = recorded();
    tell(null);
    if (location.protocol.startsWith("http") && (await startServed(local))) return;
    let given = null;
    try {
      given = page.facts.given && parsed(page.facts.given);
    } catch {
      // of another version
    }
    for (const read of [given, local]) {
      if (read && read.changed >= changed) ({ said, changed } = read);
    }
    tell(null);
  }

  // Another tab with the same clusters.
  addEventListener("storage", (event) => {
    if (!page.facts || event.key !== key()) return;
    const other = recorded();
    if (other === null) return;
    ({ said, changed } = other);
    if (base !== null) base = other.base;
    before.length = 0;
    tell(null);
  });

  return {
    start, nameClusters, nameImages, rename, pair, unpair, undo, clean, text, load, tell,
    onChange: (listener) => listeners.push(listener),
    cluster: (cluster) => said.clusters.get(cluster),
    image: (name) => said.images.get(name),
    // What an image is called: a name, null for rubbish, undefined if nobody said.
    of: (record) =>
      said.images.has(record.name) ? said.images.get(record.name) : said.clusters.get(record.cluster),
    all: () => said,
    used: () =>
      [...new Set([...said.clusters.values(), ...said.images.values()])]
        .filter((name) => typeof name === "string")
        .sort((one, other) => one.localeCompare(other)),
    canUndo: () => before.length > 0,
    isServed: () => base !== null,
    forget: () => change((draft) => Object.assign(draft, nothing())),
  };
})();
