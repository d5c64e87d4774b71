"use strict";
// Sorts, filters and opens the patients. Without it the table stands as it is, and its rows still open.
(() => {
  const table = document.getElementById("patient-table");
  if (!table) return;
  const get = (id) => document.getElementById(id);
  const patients = [...table.tBodies];
  const verdict = get("filter-verdict"), center = get("filter-center"), text = get("filter-text");
  const judged = {
    "": () => true,
    wrong: (of) => of.verdict === "wrong",
    uncertain: (of) => of.uncertain === "yes",
    either: (of) => of.verdict === "wrong" || of.uncertain === "yes",
    correct: (of) => of.verdict === "correct",
    unknown: (of) => of.verdict === "unknown",
  };

  const filter = () => {
    const wanted = text.value.trim().toLowerCase();
    for (const patient of patients) {
      const of = patient.dataset;
      const isThere = !center || center.value === "" || of.center === center.value.slice(1);
      patient.hidden = !(judged[verdict.value](of) && isThere && of.ids.toLowerCase().includes(wanted));
    }
    const shown = patients.filter((patient) => !patient.hidden).length;
    get("patients-shown").textContent = `${shown} of ${patients.length} patients`;
  };

  const compare = {
    text: (a, b) => a.localeCompare(b, "en", { numeric: true }),
    number: (a, b) => Number(a) - Number(b),
  };
  const heads = [...table.querySelectorAll("th[data-key]")];
  const sort = (head) => {
    const goesUp = head.getAttribute("aria-sort") !== "ascending";
    const key = head.dataset.key, order = compare[head.dataset.kind];
    for (const other of heads) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", goesUp ? "ascending" : "descending");
    // Array.sort is stable: ties keep the order that they had.
    patients.sort((a, b) => (goesUp ? 1 : -1) * order(a.dataset[key], b.dataset[key]));
    table.append(...patients);
  };
  for (const head of heads) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    button.addEventListener("click", () => sort(head));
    head.append(button);
  }

  const openAll = (isOpen) => {
    for (const patient of patients) {
      const details = patient.querySelector("details");
      if (details && !patient.hidden) details.open = isOpen;
    }
  };
  const follow = () => {
    const patient = patients.find((each) => `#${each.id}` === location.hash);
    if (!patient) return;
    if (patient.hidden) {
      for (const control of [verdict, center, text]) if (control) control.value = "";
      filter();
    }
    const details = patient.querySelector("details");
    if (details) details.open = true;
    patient.scrollIntoView();
  };

  for (const control of [verdict, center, text]) if (control) control.addEventListener("input", filter);
  get("open-all").addEventListener("click", () => openAll(true));
  get("close-all").addEventListener("click", () => openAll(false));
  window.addEventListener("hashchange", follow);
  get("patient-controls").hidden = false;
  filter();
  follow();
})();
