// Making elements. Every text of the record goes through textContent or setAttribute, never through markup.

const SVG = 'http://www.w3.org/2000/svg';

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else if (name.startsWith('--')) node.style.setProperty(name, value);
    else node.setAttribute(name, value === true ? '' : String(value));
  }
  for (const child of children.flat(Infinity)) {
    if (child === undefined || child === null || child === false) continue;
    node.append(child instanceof Node ? child : String(child));
  }
  return node;
}

function el(name, attributes, ...children) {
  return fill(document.createElement(name), attributes, children);
}

function draw(name, attributes, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

function byId(id) {
  return document.getElementById(id);
}

/** A number of the record with the integer that it was formatted from. */
function datum(integer, text) {
  return el('data', { value: integer }, text);
}

const ESTIMATE = 'Whittle knows the published on-demand prices of us-east-1; prices elsewhere, and all spot prices, come from a model. A file with prices of your own takes their place.';

/** `~` before whatever rests on an estimated price. */
function tilde(estimated) {
  return estimated && el('span', { class: 'est', title: `An estimate. ${ESTIMATE}` }, '~', el('span', { class: 'visually-hidden' }, '(estimate) '));
}

/** A share as a number and a small bar. */
function meter(parts) {
  const bar = el('span', { class: 'meter', 'aria-hidden': 'true' }, el('i'));
  bar.firstChild.style.width = `${Math.min(100, parts / 10000)}%`;
  return [datum(parts, ppm(parts)), bar];
}

/**
 * A table from columns `[heading, class]` and rows of cells, the first of which names the row. On a narrow screen each
 * row becomes a list with the headings as labels; the roles keep it a table for a screen reader.
 */
function table(caption, columns, rows, foot) {
  const cells = (row) => row.map((cell, i) => el(i ? 'td' : 'th', { class: columns[i][1], scope: i ? undefined : 'row',
    role: i ? 'cell' : 'rowheader', 'data-label': i && cell !== '' ? columns[i][2] || columns[i][0] : undefined }, el('span', {}, cell)));
  const made = el('table', { role: 'table' },
    el('caption', {}, caption),
    el('thead', { role: 'rowgroup' }, el('tr', { role: 'row' }, columns.map(([heading, kind]) =>
      el('th', { scope: 'col', role: 'columnheader', class: kind }, heading)))),
    el('tbody', { role: 'rowgroup' }, rows.map((row) => el('tr', { role: 'row' }, cells(row)))));
  if (foot) made.append(el('tfoot', { role: 'rowgroup' }, el('tr', { role: 'row' }, cells(foot))));
  const label = made.caption.textContent;
  return el('div', { class: 'table-wrap', tabindex: 0, role: 'region', 'aria-label': label }, made);
}

/** Shows a text beside the pointer, inside the window. */
function showTip(x, y, text) {
  const tip = byId('tip');
  tip.textContent = text;
  tip.hidden = false;
  const box = tip.getBoundingClientRect();
  const left = Math.min(Math.max(8, x + 14), innerWidth - box.width - 8);
  const above = y - box.height - 12;
  tip.style.left = `${Math.max(8, left)}px`;
  tip.style.top = `${above < 8 ? y + 18 : above}px`;
}

function hideTip() {
  byId('tip').hidden = true;
}
