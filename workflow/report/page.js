// Draws the charts, each as wide as its place, and changes the horizontal axis of the curves.
"use strict";

const read = (id) => JSON.parse(document.getElementById(id).textContent);
const specs = read("specs");
const axes = read("axes");
let axis = Object.keys(axes)[0];

// A copy of a specification whose curves have the axis that is chosen.
function onAxis(node) {
  if (Array.isArray(node)) return node.map(onAxis);
  if (!node || typeof node !== "object") return node;
  return Object.fromEntries(
    Object.entries(node).map(([key, value]) => {
      if (key === "datasets") return [key, value];
      if (key === "x" && value && value.field in axes) {
        return [key, { ...value, field: axis, title: axes[axis] }];
      }
      return [key, onAxis(value)];
    }),
  );
}

const side = (spec) =>
  Math.max(spec.hconcat ? spec.hconcat.length : 1, ...(spec.vconcat || []).map(side));

// Panels that stand side by side become rows of at most so many.
function wrapped(spec, columns) {
  const { hconcat, vconcat, ...rest } = spec;
  if (hconcat) {
    const concat = hconcat.map((part) => wrapped(part, columns));
    return { ...rest, concat, columns, align: columns > 1 ? "each" : "none" };
  }
  return vconcat ? { ...rest, vconcat: vconcat.map((part) => wrapped(part, columns)) } : spec;
}

// The panels' widths together, in the widest of rows of at most so many.
function panelWidths(spec, columns) {
  if (spec.vconcat) return Math.max(...spec.vconcat.map((part) => panelWidths(part, columns)));
  if (!spec.hconcat) return typeof spec.width === "number" ? spec.width : 0;
  const widths = spec.hconcat.map((part) => panelWidths(part, columns));
  const sums = widths.map((_, start) =>
    start % columns ? 0 : widths.slice(start, start + columns).reduce((sum, one) => sum + one, 0),
  );
  return Math.max(...sums);
}

// Panels so many times as wide; a square one stays square.
function stretched(spec, factor) {
  const parts = spec.hconcat ? "hconcat" : "vconcat";
  if (spec[parts]) return { ...spec, [parts]: spec[parts].map((part) => stretched(part, factor)) };
  if (typeof spec.width !== "number") return spec;
  const width = Math.floor(spec.width * factor);
  return { ...spec, width, height: spec.height === spec.width ? width : spec.height };
}

// A specification for a narrow place: shorter labels, legends of few columns, lines that break.
function narrow(node, columns, widest) {
  if (Array.isArray(node)) return node.map((part) => narrow(part, columns, widest));
  if (!node || typeof node !== "object") return node;
  const changed = {
    datasets: (value) => value,
    labelLimit: (value) => Math.min(value, 130) || 130,
    legend: (value) => value && { ...value, columns },
    text: (value) => (typeof value === "string" ? value.split(/(?= and )/) : narrow(value, columns, widest)),
    subtitle: (value) => (typeof value === "string" ? value.split(/(?<=,) /) : value),
    width: (value) => (typeof value === "number" ? Math.min(value, widest) : value),
  };
  return Object.fromEntries(
    Object.entries(node).map(([key, value]) => [
      key,
      key in changed ? changed[key](value) : narrow(value, columns, widest),
    ]),
  );
}

async function draw(node) {
  const width = node.parentElement.clientWidth;
  const given = specs[node.dataset.chart];
  const room = Math.max(1, Math.floor(width / 165));
  const whole = "curve" in node.dataset ? onAxis(given) : { ...given };
  // Beside long labels there is less room for a panel.
  const widest = /"labelLimit":[1-9]/.test(JSON.stringify(given)) ? width - 145 : 225;
  const spec = width < 480 ? narrow(whole, room, widest) : whole;
  const legend = { ...spec.config.legend, columns: room };
  spec.config = { ...spec.config, legend };
  const options = { mode: "vega-lite", renderer: "svg", actions: false };
  const render = async (drawn) => {
    if (node.view) node.view.finalize();
    node.view = (await vegaEmbed(node, drawn, options)).view;
    return node.querySelector("svg").getBoundingClientRect().width;
  };
  for (let columns = side(spec); columns > 0; columns -= 1) {
    const drawn = await render(wrapped(spec, columns));
    const panels = panelWidths(spec, columns);
    const factor = panels ? Math.min(1.6, 1 + (width - 2 - drawn) / panels) : 1;
    // Panels become wider or a quarter narrower to fill the place; else the row has fewer of them.
    const fits = drawn <= width || (columns > 1 && factor > 0.75);
    if (fits && Math.abs(factor - 1) > 0.02 && width >= 480) {
      await render(wrapped(stretched(spec, factor), columns));
    }
    if (fits) break;
  }
  // The text alternative stands on the element around the drawing; its parts have no names.
  const drawing = node.querySelector("svg");
  for (const part of [drawing, ...drawing.querySelectorAll("[role]")]) {
    for (const name of ["role", "aria-roledescription", "aria-label"]) part.removeAttribute(name);
  }
  drawing.setAttribute("aria-hidden", "true");
  const wide = node.parentElement.scrollWidth > node.parentElement.clientWidth;
  node.parentElement.toggleAttribute("tabindex", wide);
  if (wide) node.parentElement.tabIndex = 0;
}

async function drawAll(nodes) {
  for (const node of nodes) {
    // A chart that fails must not take the others with it.
    await draw(node).catch((error) => {
      node.textContent = `This chart cannot be drawn: ${error.message}`;
      console.error(node.dataset.chart, error);
    });
  }
  document.documentElement.dataset.drawn = axis;
}

const charts = [...document.querySelectorAll(".chart")];
const curves = charts.filter((node) => "curve" in node.dataset);

for (const input of document.querySelectorAll(".switch input")) {
  input.addEventListener("change", () => {
    axis = input.value;
    for (const other of document.querySelectorAll(".switch input")) {
      other.checked = other.value === axis;
    }
    drawAll(curves);
  });
}

let width = window.innerWidth;
let waiting = 0;
window.addEventListener("resize", () => {
  if (window.innerWidth === width) return;
  width = window.innerWidth;
  clearTimeout(waiting);
  waiting = setTimeout(() => drawAll(charts), 200);
});

drawAll(charts);
