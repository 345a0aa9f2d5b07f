// What starts when the page is there.

function fillChoices(select, choices, every) {
  const options = choices.map(([value, count]) => {
    const option = element("option", {}, `${visible(value)} (${NUMBER.format(count)})`);
    option.value = value;
    return option;
  });
  const all = element("option", {}, every);
  all.value = "";
  select.replaceChildren(all, ...options);
}

// Filters in the address, after `#list?`, so that a filtered list can be sent as a link. Not where the page has values: an address is kept
// in the browser's history, and names of attributes may be data there.
const MAY_KEEP = !document.body.classList.contains("has-values");

function keepInAddress(values) {
  if (!MAY_KEEP) return;
  const given = new URLSearchParams(Object.entries(values).filter(([, value]) => value));
  history.replaceState(null, "", String(given) ? `#list?${given}` : "#list");
}

function filtersInAddress() {
  const [part, given] = location.hash.split("?", 2);
  return MAY_KEEP && part === "#list" && given ? Object.fromEntries(new URLSearchParams(given)) : null;
}

function connect(list) {
  const { selection } = list;
  const filters = { table: byId("filter-table"), code: byId("filter-code"), about: byId("filter-attribute"), text: byId("filter-text") };
  fillChoices(filters.table, selection.choices("table"), "all tables");
  fillChoices(filters.code, selection.choices("code"), "all codes");
  fillChoices(filters.about, selection.choices("about"), "all");
  const current = () => Object.fromEntries(Object.entries(filters).map(([key, control]) => [key, control.value]));
  const apply = () => {
    list.setFilter(current());
    keepInAddress(current());
  };
  for (const control of Object.values(filters)) control.addEventListener("input", apply);

  const fill = (values) => {
    for (const [key, control] of Object.entries(filters)) control.value = values[key] ?? "";
    // A value that the list does not have, as of an address that was typed, is no choice.
    for (const select of [filters.table, filters.code, filters.about]) if (select.selectedIndex < 0) select.value = "";
  };
  const setFilters = (values) => {
    fill(values);
    apply();
  };
  const readAddress = () => {
    const given = filtersInAddress();
    if (!given) return;
    fill(given);
    list.setFilter(current());
    byId("list").scrollIntoView();
  };
  readAddress();
  addEventListener("hashchange", readAddress);
  for (const button of [byId("reset"), byId("no-match-reset")]) button.addEventListener("click", () => setFilters({}));
  for (const link of document.querySelectorAll("a[data-code]")) {
    link.addEventListener("click", (event) => {
      event.preventDefault(); // It would take the focus along, to nowhere.
      setFilters({ table: link.dataset.table, code: link.dataset.code, about: link.dataset.attribute });
      byId("list-heading").focus();
    });
  }

  const sort = byId("sort");
  for (const { key, heading } of SORTS) {
    for (const descending of [false, true]) {
      const option = element("option", {}, `${heading}, ${descending ? "descending" : "ascending"}`);
      option.value = `${key} ${descending}`;
      sort.append(option);
    }
  }
  sort.value = "table false";
  sort.addEventListener("input", () => list.setSort(sort.value.split(" ")[0], sort.value.endsWith("true")));

  const pages = { "page-first": () => 0, "page-previous": () => list.page - 1, "page-next": () => list.page + 1, "page-last": () => list.pages - 1 };
  for (const [id, page] of Object.entries(pages)) byId(id).addEventListener("click", () => list.goTo(page()));
  byId("page-number").addEventListener("change", (event) => list.goTo(Number(event.target.value) - 1 || 0));
}

// Paper has no summary to click on; of the charts, the most frequent will do.
let openedForPrint = [];
addEventListener("beforeprint", () => {
  openedForPrint = [...document.querySelectorAll("#checks details:not([open]), #columns details:not([open])")];
  for (const details of openedForPrint) details.open = true;
});
addEventListener("afterprint", () => {
  for (const details of openedForPrint) details.open = false;
});

async function start() {
  const packed = byId("entries");
  if (!packed) return;
  try {
    const entries = new Entries(await unpack(packed.textContent));
    packed.remove();
    const list = new List(entries);
    byId("list-body").hidden = false;
    connect(list);
  } catch (error) {
    byId("list-failed").textContent = `The list cannot be shown: ${visible(error.message)}. The same entries are in the files named below.`;
    byId("list-failed").hidden = false;
    throw error;
  }
}

start();
