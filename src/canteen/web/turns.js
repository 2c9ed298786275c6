// Of several that are asked for one after another, only the last is wanted, in whatever order they come.

export function turns() {
  let last = 0;
  return () => {
    const turn = ++last;
    return () => turn === last;
  };
}
