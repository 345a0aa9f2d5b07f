// The list: one page of rows in the document, however many entries there are.

class List {
  constructor(entries) {
    this.entries = entries;
    this.selection = new Selection(entries);
    this.pageSize = entries.data.page_size;
    this.page = 0;
    this.rows = byId("entry-rows");
    this.rows.addEventListener("keydown", (event) => this.onKey(event));
    this.rows.addEventListener("click", (event) => this.onClick(event));
    this.drawHeads();
    this.draw();
  }

  get pages() {
    return Math.max(1, Math.ceil(this.selection.indexes.length / this.pageSize));
  }

  setFilter(filter) {
    Object.assign(this.selection.filter, filter);
    this.selection.update();
    this.goTo(0);
  }

  setSort(key, descending) {
    this.selection.sort = { key, descending };
    this.selection.update();
    this.drawHeads();
    this.goTo(0);
  }

  goTo(page) {
    this.page = Math.min(Math.max(0, page), this.pages - 1);
    this.draw();
  }

  drawHeads() {
    const { key: sorted, descending } = this.selection.sort;
    const focused = document.activeElement?.dataset?.sort;
    const heads = SORTS.map(({ key, heading }) => {
      const state = key === sorted ? (descending ? "descending" : "ascending") : "none";
      const button = element("button", { type: "button", "data-sort": key }, heading);
      button.addEventListener("click", () => this.setSort(key, key === this.selection.sort.key && !this.selection.sort.descending));
      return element("th", { scope: "col", role: "columnheader", "aria-sort": state, class: `column-${key}` }, button);
    });
    byId("entry-heads").replaceChildren(element("th", { scope: "col", role: "columnheader", class: "column-open" }, element("span", { class: "hidden" }, "Open")), ...heads);
    if (focused) byId("entry-heads").querySelector(`[data-sort="${focused}"]`).focus();
    byId("sort").value = `${sorted} ${descending}`;
  }

  draw() {
    const { indexes } = this.selection;
    const first = this.page * this.pageSize;
    const here = indexes.subarray(first, first + this.pageSize);
    this.rows.replaceChildren(...Array.from(here, (index) => this.row(index)));
    const shown = here.length ? `; ${NUMBER.format(first + 1)} to ${NUMBER.format(first + here.length)} are shown` : "";
    byId("count").textContent = `${NUMBER.format(indexes.length)} of ${NUMBER.format(this.entries.count)} entries${shown}`;
    byId("no-match").hidden = here.length > 0;
    byId("page-count").textContent = NUMBER.format(this.pages);
    byId("page-number").value = this.page + 1;
    byId("page-number").max = this.pages;
    for (const [id, isOff] of [["page-first", this.page === 0], ["page-previous", this.page === 0], ["page-next", this.page + 1 >= this.pages], ["page-last", this.page + 1 >= this.pages]]) {
      // Not `disabled`, which would take the focus away from who goes from page to page.
      byId(id).setAttribute("aria-disabled", String(isOff));
    }
  }

  row(index) {
    const entry = this.entries.entry(index);
    const set = this.entries.errors[index];
    const error = entry.errors[this.selection.shown[set]];
    const more = entry.errors.length - 1;
    const place = entry.file === null ? "–" : `${entry.file} ${NUMBER.format(entry.item)}`;
    const button = element("button", { type: "button", class: "open", "aria-expanded": "false", "aria-label": `Open ${error.code}, ${place}` });
    const cell = (key, label, ...children) => element("td", { role: "cell", class: `column-${key}`, "data-label": label }, ...children);
    const file = element("span", { class: "file", title: entry.file }, entry.file ?? "–");
    const number = entry.item === null ? [] : [element("span", { class: "item" }, NUMBER.format(entry.item))];
    const code = more ? [error.code, element("span", { class: "tag" }, `+${more}`, element("span", { class: "hidden" }, " more errors"))] : [error.code];
    return element(
      "tr",
      { role: "row", "data-index": index },
      element("td", { role: "cell", class: "column-open" }, button),
      cell("table", "Table", entry.table),
      cell("place", "Item", element("span", { class: "place" }, file, ...number)),
      cell("code", "Code", ...code),
      cell("about", "Attribute", about(error, entry.kind)),
      cell("message", "Message", error.message ?? "–"),
    );
  }

  toggle(row, isOpen) {
    const button = row.querySelector("button.open");
    const was = button.getAttribute("aria-expanded") === "true";
    if (was === isOpen) return;
    button.setAttribute("aria-expanded", String(isOpen));
    if (!isOpen) {
      row.nextElementSibling.remove();
      button.removeAttribute("aria-controls");
      return;
    }
    const id = `detail-${row.dataset.index}`;
    const detail = detailOf(this.entries.entry(Number(row.dataset.index)), this.entries.data.advice);
    row.after(element("tr", { role: "row", class: "detail-row", id }, element("td", { role: "cell", colspan: SORTS.length + 1 }, detail)));
    button.setAttribute("aria-controls", id);
  }

  onClick(event) {
    const row = event.target.closest("tr[data-index]");
    const isButton = event.target.closest("button.open");
    if (!row || (!isButton && String(getSelection()))) return;
    this.toggle(row, row.querySelector("button.open").getAttribute("aria-expanded") !== "true");
  }

  onKey(event) {
    const row = event.target.closest("tr[data-index], tr.detail-row");
    if (!row) return;
    if (event.key === "Escape") {
      const owner = row.dataset.index === undefined ? row.previousElementSibling : row;
      this.toggle(owner, false);
      owner.querySelector("button.open").focus();
    } else if (event.target.matches("button.open") && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
      const buttons = [...this.rows.querySelectorAll("button.open")];
      buttons[buttons.indexOf(event.target) + (event.key === "ArrowDown" ? 1 : -1)]?.focus();
      event.preventDefault();
    }
  }
}
