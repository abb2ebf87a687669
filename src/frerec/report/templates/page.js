"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const make = (tag, properties = {}) => Object.assign(document.createElement(tag), properties);

  // Sorting: a button in each header; the third press brings the first order back. The rows of a
  // group stay together.
  const words = new Intl.Collator("en", { numeric: true, sensitivity: "base" });
  const keyOf = (row, column) => {
    const cell = row.cells[column];
    const text = cell.textContent.trim();
    if (cell.dataset.value) return [0, Number(cell.dataset.value)];
    return text === "" || text === "–" ? [2, ""] : [1, text];
  };
  const compareKeys = (a, b, sign) => {
    if (a[0] === 2 || b[0] === 2) return a[0] - b[0] && (a[0] === 2 ? 1 : -1);
    if (a[0] !== b[0]) return sign * (a[0] - b[0]);
    return sign * (a[0] === 0 ? a[1] - b[1] : words.compare(a[1], b[1]));
  };
  const sort = (table, bodies, header) => {
    const next = { none: "ascending", ascending: "descending", descending: "none" };
    const order = next[header.getAttribute("aria-sort")];
    all("thead th[aria-sort]", table).forEach((th) => th.setAttribute("aria-sort", "none"));
    header.setAttribute("aria-sort", order);
    const sign = order === "descending" ? -1 : 1;
    bodies.forEach(({ body, rows }) => {
      const keyed = rows.map((row) => [keyOf(row, header.cellIndex), row]);
      if (order !== "none") keyed.sort((a, b) => compareKeys(a[0], b[0], sign));
      body.append(...keyed.map((entry) => entry[1]));
    });
  };
  all("table.data").forEach((table) => {
    const bodies = [...table.tBodies].map((body) => ({ body, rows: all("tr:not(.group)", body) }));
    if (!bodies.some(({ rows }) => rows.length > 1)) return;
    all("thead th:not(.files)", table).forEach((header) => {
      const button = make("button", { type: "button", className: "sort" });
      button.append(...header.childNodes);
      header.append(button);
      header.setAttribute("aria-sort", "none");
      button.addEventListener("click", () => sort(table, bodies, header));
    });
  });

  // Filters: what names a data set, classifier or arm is shown where one of its names is ticked;
  // a list without a tick asks for nothing.
  const filters = document.getElementById("filters");
  if (filters) {
    const facets = all("fieldset", filters).map((set) => set.dataset.facet);
    const attribute = (facet) => `data-${facet}`;
    const named = all(facets.map((facet) => `main [${attribute(facet)}]`).join(","));
    const rows = named.filter((element) => element.tagName === "TR");
    const status = document.getElementById("filter-status");
    const reset = document.getElementById("filter-reset");
    const tables = all("table.data").filter((table) => rows.some((row) => table.contains(row)));
    const notes = new Map(tables.map((table) => {
      const note = make("p", { className: "hidden-rows", hidden: true });
      table.parentElement.after(note);
      return [table, note];
    }));
    const apply = () => {
      const ticked = {};
      facets.forEach((facet) => {
        const boxes = all(`fieldset[data-facet="${facet}"] input:checked`, filters);
        ticked[facet] = boxes.map((box) => box.value);
      });
      named.forEach((element) => {
        element.hidden = facets.some((facet) => {
          const names = element.getAttribute(attribute(facet));
          if (names === null || ticked[facet].length === 0) return false;
          return !names.split(" ").some((name) => ticked[facet].includes(name));
        });
      });
      tables.forEach((table) => {
        [...table.tBodies].forEach((body) => {
          body.hidden = all("tr:not(.group)", body).every((row) => row.hidden);
        });
        const hidden = all("tbody tr:not(.group)", table).filter((row) => row.hidden).length;
        const note = notes.get(table);
        note.hidden = hidden === 0;
        note.textContent = `${hidden} row${hidden === 1 ? " is" : "s are"} hidden by the filters.`;
      });
      all("dl.findings").forEach((list) => {
        const empty = [...list.children].every((finding) => finding.hidden);
        list.hidden = empty;
        list.previousElementSibling.hidden = empty;
      });
      const shown = rows.filter((row) => !row.hidden).length;
      const active = facets.some((facet) => ticked[facet].length > 0);
      status.textContent = active
        ? `${shown} of ${rows.length} rows are shown.`
        : `All ${rows.length} rows are shown.`;
      reset.disabled = !active;
    };
    filters.addEventListener("change", apply);
    reset.addEventListener("click", () => {
      all("input:checked", filters).forEach((box) => { box.checked = false; });
      apply();
      all("input", filters)[0].focus();
    });
    filters.hidden = false;
    apply();
  }

  // The slider: two of the embedded images over one another; the left part is the first one.
  const slider = document.getElementById("slider");
  if (slider) {
    const [pair, example, range] = ["slider-pair", "slider-example", "slider-range"].map((id) =>
      document.getElementById(id));
    const stage = document.getElementById("slider-stage");
    const [before, after] = [make("img"), make("img", { className: "after" })];
    const tags = [make("span"), make("span")];
    stage.append(before, after, ...tags);
    const put = (picture, source, tag) => {
      picture.src = source.src;
      picture.alt = source.alt;
      picture.width = source.width;
      picture.height = source.height;
      tag.textContent = source.dataset.title;
    };
    const wipe = () => {
      const share = Number(range.value);
      stage.style.setProperty("--at", `${share}%`);
      const [left, right] = tags.map((tag) => tag.textContent);
      range.setAttribute("aria-valuetext", `${left} ${share} %, ${right} ${100 - share} %`);
    };
    const show = () => {
      const [family, set] = pair.value.split(" ");
      const figure = all(`.example[data-family="${family}"]`)[Number(example.value)];
      put(before, figure.querySelector("img"), tags[0]);
      put(after, figure.querySelector(`img[data-set="${set}"]`), tags[1]);
      wipe();
    };
    const choose = () => {
      const kept = example.value;
      const figures = all(`.example[data-family="${pair.value.split(" ")[0]}"]`);
      example.replaceChildren(...figures.map((figure, i) =>
        make("option", { value: String(i), textContent: figure.dataset.label })));
      if (kept !== "" && Number(kept) < figures.length) example.value = kept;
      show();
    };
    const drag = (event) => {
      if (event.buttons !== 1) return;
      const box = stage.getBoundingClientRect();
      range.value = String(Math.round((100 * (event.clientX - box.left)) / box.width));
      wipe();
    };
    stage.addEventListener("pointerdown", drag);
    stage.addEventListener("pointermove", drag);
    stage.addEventListener("dragstart", (event) => event.preventDefault());
    pair.addEventListener("change", choose);
    example.addEventListener("change", show);
    range.addEventListener("input", wipe);
    choose();
    slider.hidden = false;
    document.getElementById("examples").open = false;
  }

  // What an address leads to is opened; a region that has nothing to scroll is no stop for Tab.
  const reveal = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    for (let place = target; place; place = place.parentElement) {
      if (place.tagName === "DETAILS") place.open = true;
    }
    target.scrollIntoView();
  };
  const stops = () => all(".scroll").forEach((region) => {
    const [across, down] = [region.scrollWidth - region.clientWidth, region.scrollHeight - region.clientHeight];
    region.tabIndex = across > 0 || down > 1 ? 0 : -1;
  });
  addEventListener("hashchange", reveal);
  addEventListener("resize", stops);
  addEventListener("toggle", stops, true);
  all("aside details").forEach((part) => { part.open = matchMedia("(min-width: 76rem)").matches; });
  stops();
  reveal();
})();
