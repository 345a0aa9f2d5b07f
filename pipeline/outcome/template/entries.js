// The entries, unpacked: columns of numbers for all blocks (pipeline/records/gather.py), so that a hundred thousand take little.

async function unpack(text) {
  if (typeof DecompressionStream === "undefined") throw new Error("this browser cannot unpack it; a newer one can");
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

class Entries {
  constructor(data) {
    this.data = data;
    this.blocks = data.blocks;
    this.count = this.blocks.reduce((sum, block) => sum + block.item.length, 0);
    this.block = new Uint16Array(this.count);
    this.errors = new Uint32Array(this.count);
    this.starts = [];
    let start = 0;
    this.blocks.forEach((block, number) => {
      this.starts.push(start);
      this.block.fill(number, start, start + block.item.length);
      this.errors.set(block.errors, start);
      start += block.item.length;
    });
  }

  string(number) {
    return this.data.strings[number];
  }

  /** The errors of a set, as objects. */
  errorsOf(set) {
    return this.data.error_sets[set].map(([code, attribute, column, message, sqlstate]) => ({
      code: this.string(code),
      attribute: this.string(attribute),
      column: this.string(column),
      message: this.string(message),
      sqlstate: this.string(sqlstate),
    }));
  }

  entry(index) {
    const block = this.blocks[this.block[index]];
    const at = index - this.starts[this.block[index]];
    return {
      kind: block.kind,
      table: block.table,
      target: block.target,
      file: this.string(block.file[at]),
      item: block.item[at],
      stage: this.string(block.stage[at]),
      size: block.size[at],
      text: block.text.length ? block.text[at] : null,
      errors: this.errorsOf(this.errors[index]),
      fields: block.fields.filter(([, shapes]) => shapes[at]).map(([name, shapes]) => [name, this.string(shapes[at])]),
    };
  }
}

/** What an error is about, in the words that the charts have, too. */
function about(error, kind) {
  if (kind === "mismatches" || kind === "discrepancies") return error.column ?? "the whole row";
  return error.attribute ?? "the whole item";
}
