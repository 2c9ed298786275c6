// Of several that are asked for one after another, only the last is wanted, in whatever order they come:
// `const asking = latest()`, and at each time `const isLast = asking()`, which is looked at when it has come.

export function latest() {
  let last = 0;
  return () => {
    const mine = ++last;
    return () => mine === last;
  };
}
