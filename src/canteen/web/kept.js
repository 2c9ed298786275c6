// What outlives a reload of the page, and is gone with its tab.

const KEPT = "canteen.play";

export function recall() {
  try {
    return JSON.parse(sessionStorage.getItem(KEPT)) ?? {};
  } catch {
    return {};
  }
}

// `what()` is asked when the page goes. More than the browser has room for is not kept.
export function keep(what) {
  addEventListener("pagehide", () => {
    try {
      sessionStorage.setItem(KEPT, JSON.stringify(what()));
    } catch {
      sessionStorage.removeItem(KEPT);
    }
  });
}
