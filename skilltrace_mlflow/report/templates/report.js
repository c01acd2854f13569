(() => {
  "use strict";
  const by = id => document.getElementById(id);
  const bar = by("filters"), table = by("verdicts");
  if (!bar || !table) return;
  const rows = table.tBodies[0], list = by("all-tests");
  const find = {verdict: by("f-verdict"), check: by("f-check"), category: by("f-category"),
                text: by("f-text"), sort: by("f-sort")};
  const only = by("only"), count = by("f-count");
  const letters = {pass: "p", fail: "f", unknown: "u", error: "e"};
  const items = [...rows.rows].map((row, order) => {
    const {t, v, k, c, cost, tokens, seconds} = row.dataset;
    return {row, order, test: by(t), v, k, c, shown: true, words: null,
            cost: +cost, tokens: +tokens, seconds: +seconds};
  });
  // Name, prompt and reasons, read from the page when somebody looks for a text.
  const words = item => item.words ??= [item.row.cells[0], ...item.test.querySelectorAll(
    "summary, .facts, .checks, .passed")].map(part => part.textContent).join(" ").toLowerCase();

  const hide = () => {
    for (const item of items) if (item.test.hidden === item.shown) item.test.hidden = !item.shown;
  };
  // The tests below are many elements: they follow once the table has been painted.
  let task = 0;
  const later = work => {
    clearTimeout(task);
    requestAnimationFrame(() => { clearTimeout(task); task = setTimeout(work); });
  };

  const apply = () => {
    const verdict = find.verdict.value, check = find.check.value;
    const category = find.category?.value ?? "", text = find.text.value.trim().toLowerCase();
    let shown = 0;
    for (const item of items) {
      const letter = check === "" ? "" : item.k[check];
      const show = (!only.checked || item.v !== "pass")
        && (check === "" ? verdict === "" || item.v === verdict
                         : letter !== "-" && (verdict === "" || letter === letters[verdict]))
        && (category === "" || item.c === category)
        && (text === "" || words(item).includes(text));
      if (show !== item.shown) {
        item.shown = show;
        item.row.hidden = !show;
      }
      shown += show;
    }
    later(hide);
    const all = items.length.toLocaleString("en");
    count.textContent = (shown === items.length ? all : `${shown.toLocaleString("en")} of ${all}`)
      + (items.length === 1 ? " test" : " tests");
  };

  const worst = {fail: 0, error: 1, unknown: 2, pass: 3};
  const sort = () => {
    const key = find.sort.value;
    const unknownLast = value => Number.isNaN(value) ? -Infinity : value;
    const least = {
      verdict: (a, b) => worst[a.v] - worst[b.v],
      name: (a, b) => a.row.cells[0].textContent.localeCompare(b.row.cells[0].textContent),
    }[key] ?? (key === "order" ? () => 0 : (a, b) => {
      const x = unknownLast(a[key]), y = unknownLast(b[key]);
      return x === y ? 0 : y - x;
    });
    const sorted = [...items].sort((a, b) => least(a, b) || a.order - b.order);
    rows.append(...sorted.map(item => item.row));
    later(() => { list.append(...sorted.map(item => item.test)); hide(); });
  };

  const reset = () => {
    for (const field of [find.verdict, find.check, find.category, find.text]) if (field) field.value = "";
    only.checked = false;
    apply();
  };
  // A link leads to its test whatever the filters hide, and opens it.
  const follow = () => {
    const target = location.hash && by(decodeURIComponent(location.hash.slice(1)));
    const test = target && target.closest("details.test");
    if (!test) return;
    if (test.hidden || getComputedStyle(test).display === "none") { reset(); hide(); }
    for (let at = target; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
    const call = target.querySelector(":scope > details");
    if (call) call.open = true;
    target.scrollIntoView();
  };

  let waiting = 0;
  find.text.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(apply, 60); });
  for (const field of [find.verdict, find.check, find.category, only]) field?.addEventListener("change", apply);
  find.sort.addEventListener("change", sort);
  by("f-reset").addEventListener("click", reset);
  addEventListener("hashchange", follow);
  bar.classList.remove("unscripted");
  apply();
  follow();
})();
