// Text that arrives is shown once a frame, however many pieces of it come, and in however many
// places: the page is laid out once for all. A hidden tab has no frames; there it is shown at the end.

const waiting = new Set();
let frame;

function show() {
  frame = undefined;
  const shown = [...waiting];
  waiting.clear();
  shown.forEach((writer) => writer.flush());
  new Set(shown.map((writer) => writer.after)).forEach((after) => after?.());
}

export class Writer {
  rest = "";

  // `after` is called once in a frame in which anything was shown.
  constructor(node, after) {
    Object.assign(this, { node, after });
  }

  write(piece) {
    this.rest += piece;
    waiting.add(this);
    frame ??= requestAnimationFrame(show);
  }

  flush() {
    if (this.rest) this.node.append(this.rest);
    this.rest = "";
  }
}
