
"use strict";
(() => {
  document.documentElement.classList.add("scripts");

  // The table: a header sorts by its column, first the best, then the worst, then in groups again.
  const table = document.getElementById("conditions");
  const said = document.getElementById("sorted");
  const bodies = [...table.tBodies];
  const inGroups = bodies.map((body) => [...body.rows]);
  const rows = inGroups.flat().filter((row) => !row.classList.contains("titles"));
  const headers = [...table.tHead.rows[0].cells];

  const valueIn = (row, column) => {
    const value = row.cells[column].dataset.value;
    return value === undefined ? null : value === "" ? row.cells[column].textContent : Number(value);
  };
  const compare = (a, b, sign) => {
    if (a === null || b === null) return (a === null) - (b === null); // No number: last, either way.
    if (typeof a === "string") return sign * a.localeCompare(b, "en", { numeric: true });
    return sign * (a - b);
  };
  const sortBy = (header, column) => {
    const first = header.dataset.first;
    const other = first === "ascending" ? "descending" : "ascending";
    const now = header.getAttribute("aria-sort");
    const next = now === "none" ? first : now === first ? other : "none";
    for (const one of headers) if (one.hasAttribute("aria-sort")) one.setAttribute("aria-sort", "none");
    header.setAttribute("aria-sort", next);
    table.classList.toggle("sorted", next !== "none");
    if (next === "none") {
      bodies.forEach((body, i) => body.replaceChildren(...inGroups[i]));
      said.textContent = "In groups.";
      return;
    }
    const sign = next === "ascending" ? 1 : -1;
    const order = rows
      .map((row) => [valueIn(row, column), row])
      .sort(([a], [b]) => compare(a, b, sign))
      .map(([, row]) => row);
    bodies.forEach((body, i) => body.replaceChildren(...(i ? [] : order)));
    said.textContent = `Sorted by ${header.dataset.title}, ${next}.`;
  };
  headers.forEach((header, column) => {
    const button = header.querySelector("button");
    if (button) button.addEventListener("click", () => sortBy(header, column));
  });

  // The plots: the numbers of the point under the pointer, or of the one that has the focus.
  const tip = document.getElementById("tip");
  const REACH = 22; // How far from a point the pointer may be, in units of the plot.
  const MOST = 5; // Points at one place whose numbers are shown.
  let halo = null; // The ring around the point that is shown; it lies above all points.

  const hide = () => {
    if (halo) halo.classList.remove("shown");
    halo = null;
    tip.hidden = true;
  };
  const show = (points) => {
    hide();
    halo = points[0].halo;
    halo.setAttribute("cx", points[0].x);
    halo.setAttribute("cy", points[0].y);
    halo.classList.add("shown");
    const texts = points.slice(0, MOST).map((point) => point.text);
    if (points.length > MOST) texts.push(`and ${points.length - MOST} more at this place`);
    tip.textContent = texts.join("\n\n");
    tip.hidden = false;
    const place = points[0].element.getBoundingClientRect();
    const right = document.documentElement.clientWidth - tip.offsetWidth - 8;
    const left = Math.max(8, Math.min(place.left + place.width / 2 - tip.offsetWidth / 2, right));
    const above = place.top - tip.offsetHeight - 8;
    const top = above < 0 ? place.bottom + 8 : above;
    tip.style.left = `${left + scrollX}px`;
    tip.style.top = `${top + scrollY}px`;
  };

  for (const plot of document.querySelectorAll(".plot")) {
    const halo = plot.querySelector(".halo");
    const points = [...plot.querySelectorAll(".point")].map((element) => {
      const title = element.querySelector("title");
      const text = title.textContent;
      title.remove(); // The browser would show it beside ours.
      element.setAttribute("aria-label", text.replaceAll("\n", ", "));
      return { element, halo, text, x: Number(element.dataset.x), y: Number(element.dataset.y) };
    });
    if (!points.length) continue;
    points.sort((a, b) => a.x - b.x || b.y - a.y);
    const choose = (i) => {
      for (const point of points) point.element.setAttribute("tabindex", "-1");
      points[i].element.setAttribute("tabindex", "0");
      return points[i].element;
    };
    choose(0);
    points.forEach((point, i) => {
      point.element.addEventListener("focus", () => show([point]));
      point.element.addEventListener("blur", hide);
      point.element.addEventListener("keydown", (event) => {
        const last = points.length - 1;
        const to = {
          ArrowRight: Math.min(i + 1, last), ArrowUp: Math.min(i + 1, last),
          ArrowLeft: Math.max(i - 1, 0), ArrowDown: Math.max(i - 1, 0),
          Home: 0, End: last,
        }[event.key];
        if (to === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
        event.preventDefault();
        choose(to).focus();
      });
    });
    const near = (event) => {
      const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(plot.getScreenCTM().inverse());
      const distance = (point) => Math.hypot(point.x - at.x, point.y - at.y);
      const nearest = points.reduce((a, b) => (distance(b) < distance(a) ? b : a));
      if (distance(nearest) > REACH) return hide();
      show(points.filter((point) => Math.hypot(point.x - nearest.x, point.y - nearest.y) < 2));
    };
    plot.addEventListener("pointermove", near);
    plot.addEventListener("pointerdown", near);
    plot.addEventListener("pointerleave", hide);
  }
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") hide();
  });
})();
