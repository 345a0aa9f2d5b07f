// One entry, opened: all that is wrong with it, what to do, and its item.

function detailOf(entry, advice) {
  const box = element("div", { class: "detail" });
  box.append(errorTable(entry));
  const sentences = [...new Set(entry.errors.map((error) => error.code))].filter((code) => advice[code]);
  if (sentences.length) {
    box.append(element("h3", {}, "What to do"));
    box.append(element("ul", {}, ...sentences.map((code) => element("li", {}, element("code", {}, code), ` ${advice[code]}`))));
  }
  box.append(itemOf(entry));
  return box;
}

function errorTable(entry) {
  const heads = ["Code", "Attribute", "Column", "Message", "SQLSTATE"];
  const cells = (error) => [error.code, error.attribute ?? "–", error.column ?? "–", error.message ?? "–", error.sqlstate ?? "–"];
  return element(
    "table",
    { class: "errors" },
    element("caption", {}, captionOf(entry)),
    element("thead", {}, element("tr", {}, ...heads.map((head) => element("th", { scope: "col" }, head)))),
    element(
      "tbody",
      {},
      ...entry.errors.map((error) =>
        element("tr", {}, ...cells(error).map((text, column) => element("td", { "data-label": heads[column] }, text))),
      ),
    ),
  );
}

function captionOf(entry) {
  if (entry.kind === "mismatches") return "What is different";
  if (entry.kind === "discrepancies") return "Why it is left";
  return entry.errors.length === 1 ? "The error" : `All ${entry.errors.length} errors`;
}

function itemOf(entry) {
  const part = element("div", {}, element("h3", {}, entry.text === null ? "The item, masked" : "The item"));
  part.append(element("p", { class: "soft" }, placeOf(entry)));
  if (entry.text !== null) {
    part.append(element("pre", { tabindex: "0", role: "group", "aria-label": "The item" }, ...linesOf(entry.text)));
  } else if (entry.fields.length) {
    const atFault = new Set(entry.errors.map((error) => error.attribute));
    const pairs = entry.fields.map(([name, shape]) =>
      element(
        "div",
        { class: atFault.has(name) ? "at-fault" : null },
        element("dt", {}, name),
        element("dd", {}, shape, ...(atFault.has(name) ? [element("span", { class: "tag" }, "at fault")] : [])),
      ),
    );
    part.append(element("dl", { class: "shapes" }, ...pairs));
  } else {
    part.append(element("p", {}, "There is nothing to show of it by name: the line is no item, or it is not in this page."));
  }
  return part;
}

function placeOf(entry) {
  const parts = [`${entry.table} → ${entry.target}`];
  if (entry.file !== null) parts.push(`${entry.file}, item ${NUMBER.format(entry.item)} (the first is 0)`);
  if (entry.stage) parts.push(`refused at the stage ${entry.stage}`);
  if (entry.size) parts.push(`${NUMBER.format(entry.size)} bytes`);
  return parts.join(" · ");
}

/** The text of an item, indented where it is JSON; each line is made visible on its own. */
function linesOf(text) {
  let shown = text;
  try {
    shown = JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    // It is shown as it is: that it is no JSON may be its fault.
  }
  return shown.split("\n").map((line) => element("span", { class: "line" }, line));
}
