// Which entries are listed, and in which order. Filters are decided once for each set of errors, not for each entry.

const SORTS = [
  { key: "table", heading: "Table" },
  { key: "place", heading: "Data file and item" },
  { key: "code", heading: "Code" },
  { key: "about", heading: "Attribute or column" },
  { key: "message", heading: "Message" },
];

class Selection {
  constructor(entries) {
    this.entries = entries;
    const kindOf = new Map();
    entries.errors.forEach((set, index) => kindOf.set(set, entries.blocks[entries.block[index]].kind));
    this.sets = entries.data.error_sets.map((_, set) =>
      entries.errorsOf(set).map((error) => ({
        code: error.code,
        about: about(error, kindOf.get(set)),
        message: error.message ?? "",
        folded: (error.message ?? "").toLowerCase(),
      })),
    );
    this.filter = { table: "", code: "", about: "", text: "" };
    this.sort = { key: "table", descending: false };
    this.update();
  }

  /** Every value of one kind that there is to filter by, with how many entries have it. */
  choices(key) {
    const counts = new Map();
    const add = (value) => counts.set(value, (counts.get(value) ?? 0) + 1);
    this.entries.errors.forEach((set, index) => {
      if (key === "table") add(this.entries.blocks[this.entries.block[index]].table);
      else new Set(this.sets[set].map((error) => error[key])).forEach(add);
    });
    return [...counts].sort(([one], [other]) => compare(one, other));
  }

  /** The first error of a set that the filters let through, else -1. */
  shownError(set) {
    const { code, about: what, text } = this.filter;
    const folded = text.toLowerCase();
    return this.sets[set].findIndex(
      (error) => (!code || error.code === code) && (!what || error.about === what) && (!folded || error.folded.includes(folded)),
    );
  }

  update() {
    const { entries, filter } = this;
    this.shown = this.sets.map((_, set) => this.shownError(set));
    const blockIs = entries.blocks.map((block) => !filter.table || block.table === filter.table);
    const found = new Uint32Array(entries.count);
    let count = 0;
    for (let index = 0; index < entries.count; index += 1) {
      if (blockIs[entries.block[index]] && this.shown[entries.errors[index]] >= 0) {
        found[count] = index;
        count += 1;
      }
    }
    this.indexes = this.sorted(found.subarray(0, count));
  }

  sorted(indexes) {
    const { key, descending } = this.sort;
    const ranks = this.ranks(key);
    const sign = descending ? -1 : 1;
    return indexes.sort((one, other) => sign * (ranks[one] - ranks[other]) || one - other);
  }

  /** A number for each entry that sorts as its value does. */
  ranks(key) {
    const { entries } = this;
    const ranks = new Float64Array(entries.count);
    if (key === "table") return ranks.map((_, index) => entries.block[index]); // Blocks are in the order of the run.
    if (key === "place") {
      const files = rankOf(entries.blocks.flatMap((block) => block.file.map((file) => entries.string(file) ?? "")));
      return ranks.map((_, index) => {
        const block = entries.blocks[entries.block[index]];
        const at = index - entries.starts[entries.block[index]];
        return files.get(entries.string(block.file[at]) ?? "") * 2 ** 32 + (block.item[at] ?? 0);
      });
    }
    const texts = this.sets.map((set, number) => set[Math.max(0, this.shown[number])]?.[key] ?? "");
    const order = rankOf(texts);
    return ranks.map((_, index) => order.get(texts[entries.errors[index]]));
  }
}

function rankOf(texts) {
  return new Map([...new Set(texts)].sort(compare).map((text, rank) => [text, rank]));
}

function compare(one, other) {
  return one < other ? -1 : one > other ? 1 : 0;
}
