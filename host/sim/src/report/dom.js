// Making elements. Every text of the record goes through textContent or setAttribute, never through markup.

const SVG = 'http://www.w3.org/2000/svg';

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else if (name.startsWith('--')) node.style.setProperty(name, value);
    else node.setAttribute(name, value === true ? '' : String(value));
  }
  for (const child of children.flat()) {
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

const ESTIMATE = 'An estimate: the price tables hold no list price for this instance type in this region or this way of buying it.';

/** `~` before whatever rests on an estimated price. */
function tilde(estimated) {
  return estimated && el('span', { class: 'est', title: ESTIMATE }, '~', el('span', { class: 'visually-hidden' }, '(estimate) '));
}

/** A share as a number and a small bar. */
function meter(parts) {
  const bar = el('span', { class: 'meter', 'aria-hidden': 'true' }, el('i'));
  bar.firstChild.style.width = `${Math.min(100, parts / 10000)}%`;
  return [datum(parts, ppm(parts)), bar];
}

/** A table from columns `[heading, class]` and rows of cells, the first of which names the row. */
function table(caption, columns, rows, foot) {
  const cells = (row) => row.map((cell, i) => el(i ? 'td' : 'th', { class: columns[i][1], scope: i ? undefined : 'row' }, cell));
  const made = el('table', {},
    el('caption', {}, caption),
    el('thead', {}, el('tr', {}, columns.map(([heading, kind]) => el('th', { scope: 'col', class: kind }, heading)))),
    el('tbody', {}, rows.map((row) => el('tr', {}, cells(row)))));
  if (foot) made.append(el('tfoot', {}, el('tr', {}, cells(foot))));
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
