"use strict";
// Tables are whole without this: it adds a button to every column head, and a filter above long tables.
(function () {
  const LONG = 8;
  const order = new Intl.Collator("en", { numeric: true });

  // The last row of the head has a cell for every column; the row above it may have groups of columns.
  const heads = (table) => Array.from(table.tHead.lastElementChild.cells);

  function key(row, column) {
    const cell = row.cells[column];
    if (cell.dataset.sort !== undefined) return Number(cell.dataset.sort);
    return "empty" in cell.dataset ? null : cell.textContent.trim();
  }

  function compare(a, b, sign) {
    if (a === null || b === null) return (a === null) - (b === null); // nothing stands last, either way
    if (typeof a === "number" && typeof b === "number") return sign * (a - b);
    if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
    return sign * order.compare(a, b);
  }

  function sort(table, head, column) {
    const falling = head.classList.contains("number");
    const before = head.getAttribute("aria-sort");
    const up = before === null ? !falling : before === "descending";
    for (const other of heads(table)) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const body = table.tBodies[0];
    const rows = Array.from(body.rows, (row) => ({ row, key: key(row, column) }));
    rows.sort((a, b) => compare(a.key, b.key, up ? 1 : -1));
    body.append(...rows.map((entry) => entry.row));
  }

  function filter(table, text, said) {
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    const rows = Array.from(table.tBodies[0].rows);
    let kept = 0;
    for (const row of rows) {
      const content = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => content.includes(word));
      kept += row.hidden ? 0 : 1;
    }
    said.textContent = kept + " of " + rows.length + " rows";
  }

  document.querySelectorAll(".table").forEach(function (region, index) {
    const table = region.querySelector("table");
    const rows = table.tBodies[0].rows;
    if (rows.length > 1) {
      heads(table).forEach(function (head, column) {
        const button = document.createElement("button");
        button.type = "button";
        button.append(...head.childNodes);
        head.append(button);
        button.addEventListener("click", () => sort(table, head, column));
      });
    }
    // The keyboard stops only at tables that scroll.
    const look = () => {
      const wide = region.scrollWidth > region.clientWidth;
      region.classList.toggle("more", region.scrollLeft + region.clientWidth < region.scrollWidth - 1);
      if (wide || region.scrollHeight > region.clientHeight) region.tabIndex = 0;
      else region.removeAttribute("tabindex");
    };
    new ResizeObserver(look).observe(region);
    region.addEventListener("scroll", look, { passive: true });
    if (rows.length < LONG) return;
    const bar = document.createElement("div");
    const label = document.createElement("label");
    const input = document.createElement("input");
    const said = document.createElement("span");
    bar.className = "filter";
    input.type = "search";
    input.id = "filter-" + index;
    label.htmlFor = input.id;
    label.textContent = "Only rows with";
    said.setAttribute("aria-live", "polite");
    input.addEventListener("input", () => filter(table, input.value, said));
    bar.append(label, input, said);
    region.before(bar);
  });
})();
