// What the page does beyond HTML: times in the reader's zone, live rows, keys, forms without a reload.
// Every view works without it.

for (const time of document.querySelectorAll("time[datetime]")) {
  const at = new Date(time.dateTime);
  time.textContent = at.toLocaleString(undefined, { dateStyle: "short", timeStyle: "short" });
}
