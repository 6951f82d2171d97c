// Finds what collides in a drawn sheet, as the browser sets it: by the places of its letters, not by estimates.

/**
 * Runs in the page, which shows one `<svg>` of `/infographic.svg`: `await page.evaluate(overlaps)`. It has no
 * dependencies outside of itself. The answer names each violation; a sheet without any gives an empty array.
 *
 * - No text touches a text of another label, a block, an arrow's head or line, a number, or a plate that is not its own.
 * - No text leaves its plate, and none comes within 8 px of the edge of the canvas.
 * - No plate touches another plate, a block, a head, or the line of another arrow; no line runs through a block.
 * - No letter is smaller than 11 px at the sheet's own size, every note has its line, and ids are unique.
 *
 * @returns {string[]}
 */
export function overlaps() {
  const svg = document.querySelector("svg[role=img]");
  const { width, height } = svg.viewBox.baseVal;
  const toCanvas = svg.getScreenCTM().inverse();
  const violations = [];
  const report = (kind, ...what) => violations.push(`${kind}: ${what.join(" × ")}`);

  // Geometry: rectangles, and convex polygons or segments as lists of points.
  const meets = (a, b, slack = 0) =>
    a.left < b.right - slack && b.left < a.right - slack && a.top < b.bottom - slack && b.top < a.bottom - slack;
  const corners = ({ left, top, right, bottom }) => [
    [left, top],
    [right, top],
    [right, bottom],
    [left, bottom],
  ];
  const polygonMeets = (points, rect) => {
    const axes = [
      [1, 0],
      [0, 1],
    ];
    points.forEach(([x, y], i) => {
      const [nextX, nextY] = points[(i + 1) % points.length];
      axes.push([y - nextY, nextX - x]);
    });
    return axes.every(([u, v]) => {
      const length = Math.hypot(u, v);
      if (length < 1e-6) return true;
      const range = (list) => {
        const along = list.map(([x, y]) => (x * u + y * v) / length);
        return [Math.min(...along), Math.max(...along)];
      };
      const [low, high] = range(points);
      const [from, to] = range(corners(rect));
      return high > from + 0.5 && to > low + 0.5;
    });
  };
  const hull = (points) => {
    const sorted = [...points].sort((a, b) => a[0] - b[0] || a[1] - b[1]);
    const half = (list) => {
      const chain = [];
      for (const point of list) {
        while (chain.length > 1) {
          const [a, b] = chain.slice(-2);
          if ((b[0] - a[0]) * (point[1] - a[1]) - (b[1] - a[1]) * (point[0] - a[0]) > 0) break;
          chain.pop();
        }
        chain.push(point);
      }
      return chain.slice(0, -1);
    };
    return [...half(sorted), ...half(sorted.reverse())];
  };

  // What the sheet has.
  const all = (selector) => [...svg.querySelectorAll(selector)];
  const box = (element) => {
    const { x, y, width, height } = element.getBBox();
    return { left: x, top: y, right: x + width, bottom: y + height };
  };
  const owner = (element) => element.closest("[data-box], [data-arrow], .note, .side");
  const polygon = (element) => [...element.points].map(({ x, y }) => [x, y]);
  const pathPoints = (element) =>
    element
      .getAttribute("d")
      .split(/[ML]/)
      .filter(Boolean)
      .map((pair) => pair.split(",").map(Number));

  const lines = all("text[data-label]").flatMap((text) => {
    const size = Number(text.getAttribute("font-size"));
    const parts = text.children.length > 0 ? [...text.children] : [text];
    return parts.map((part) => {
      const range = document.createRange();
      range.selectNodeContents(part);
      const on = range.getBoundingClientRect();
      const [start, end] = [on.left, on.right].map((x) => new DOMPoint(x, on.top).matrixTransform(toCanvas).x);
      // The font's box is higher than its letters; these figures are those of the letters.
      const isHigh = /[\u0600-\u06ff\u0900-\u097f]/.test(part.textContent);
      const base = Number(part.getAttribute("y"));
      return {
        label: text.dataset.label,
        text: part.textContent,
        size,
        owner: owner(text),
        isOnBlock: text.dataset.label.includes("event_bus"),
        left: start,
        right: end,
        top: base - size * (isHigh ? 0.85 : 0.78),
        bottom: base + size * (isHigh ? 0.32 : 0.24),
      };
    });
  });
  const blocks = all("g.block").map((group) => ({
    id: group.parentNode.dataset.box,
    points: hull([...group.querySelectorAll(":scope > polygon")].flatMap(polygon)),
  }));
  const heads = all(".head").map((head) => ({ id: owner(head).id, points: hull(polygon(head)) }));
  const plates = all("rect.plate").map((plate) => ({ owner: owner(plate), ...box(plate) }));
  const numbers = all(".number circle").map((circle) => ({ text: circle.parentNode.textContent, ...box(circle) }));
  const arrows = all("path.line").flatMap((path) => {
    const points = pathPoints(path);
    return points.slice(1).map((point, i) => ({ owner: owner(path), ends: [points[i], point] }));
  });
  const name = (plate) => plate.owner.id || plate.owner.querySelector("text").dataset.label;

  lines.forEach((line, i) => {
    const what = `${line.label} "${line.text}"`;
    if (line.size < 11) report("small", what, `${line.size} px`);
    if (line.left < 8 || line.top < 8 || line.right > width - 8 || line.bottom > height - 8) report("edge", what);
    for (const other of lines.slice(i + 1)) {
      if (other.label !== line.label && meets(line, other)) report("texts", what, `${other.label} "${other.text}"`);
    }
    for (const { id, points } of blocks) {
      if (!line.isOnBlock && polygonMeets(points, line)) report("text and block", what, id);
    }
    for (const { id, points } of heads) if (polygonMeets(points, line)) report("text and head", what, id);
    for (const number of numbers) if (meets(line, number, 1)) report("text and number", what, number.text);
    for (const plate of plates) {
      if (plate.owner !== line.owner) {
        if (meets(line, plate)) report("text and plate", what, name(plate));
      } else if (
        line.left < plate.left + 2 ||
        line.right > plate.right - 2 ||
        line.top < plate.top ||
        line.bottom > plate.bottom
      ) {
        report("text leaves its plate", what);
      }
    }
    for (const arrow of arrows) {
      if (arrow.owner !== line.owner && polygonMeets(arrow.ends, line)) report("text and line", what, arrow.owner.id);
    }
  });
  plates.forEach((plate, i) => {
    for (const other of plates.slice(i + 1)) if (meets(plate, other)) report("plates", name(plate), name(other));
    for (const { id, points } of blocks) if (polygonMeets(points, plate)) report("plate and block", name(plate), id);
    for (const { id, points } of heads) if (polygonMeets(points, plate)) report("plate and head", name(plate), id);
    for (const arrow of arrows) {
      if (arrow.owner !== plate.owner && polygonMeets(arrow.ends, plate)) {
        report("plate and line", name(plate), arrow.owner.id);
      }
    }
  });
  for (const { owner: arrow, ends } of arrows) {
    const [[x, y], [toX, toY]] = ends;
    for (const { id, points } of blocks) {
      // The ends of an arrow may touch what it connects.
      const isInside = Array.from({ length: 41 }, (_, i) => 0.06 + (0.88 * i) / 40).some((part) => {
        const [atX, atY] = [x + (toX - x) * part, y + (toY - y) * part];
        return polygonMeets(points, { left: atX - 1, top: atY - 1, right: atX + 1, bottom: atY + 1 });
      });
      if (isInside) report("line and block", arrow.id, id);
    }
  }
  for (const note of all(".note, .side")) {
    if (!note.querySelector(".leader")) report("note without a line", note.textContent);
  }
  for (const text of all("text")) {
    if (Number(text.getAttribute("font-size")) < 11) report("small", text.textContent);
  }
  const ids = all("[id]").map(({ id }) => id);
  ids.filter((id, i) => ids.indexOf(id) !== i).forEach((id) => report("id twice", id));
  return violations;
}
