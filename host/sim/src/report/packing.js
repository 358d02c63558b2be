// The packing: every node as two bars, CPU and memory, with a segment for each pod.

const NODES_AT_ONCE = narrow() ? 16 : 60;
const PICTURES = { peak: ['most nodes', record.peak], last: ['at the end', record.last] };
const picture = { which: 'peak', order: 'size' };

const ORDERS = {
  size: (a, b) => b.allocatable.cpuMillis - a.allocatable.cpuMillis || b.allocatable.memoryBytes - a.allocatable.memoryBytes,
  free: (a, b) => a.used.cpuMillis * b.allocatable.cpuMillis - b.used.cpuMillis * a.allocatable.cpuMillis,
  price: (a, b) => b.price - a.price,
};

/** Pods of the node itself first, then the largest. */
function ordered(pods, field) {
  return [...pods].sort((a, b) => b.daemon - a.daemon || b[field] - a[field] || (a.name < b.name ? -1 : 1));
}

/** The segments of a bar, in thousandths of what the node can hold, and the pod under a point. */
function segments(node, field) {
  const whole = Math.max(node.allocatable[field], node.used[field], 1);
  const made = [];
  let from = 0;
  const add = (pod, amount) => {
    if (amount > 0) made.push({ pod, from: from / whole * 1000, to: (from + amount) / whole * 1000 });
    from += amount;
  };
  for (const pod of ordered(node.pods, field)) add(pod, pod[field]);
  add(null, node.used[field] - from);
  return made;
}

function path(some) {
  return some.map(({ from, to }) => `M${from.toFixed(2)} 0H${to.toFixed(2)}V10H${from.toFixed(2)}Z`).join('');
}

function bar(node, field) {
  const all = segments(node, field);
  const pods = all.filter((one) => one.pod && !one.pod.daemon);
  const layers = [
    ['seg-daemon', all.filter((one) => one.pod && one.pod.daemon)],
    ['seg-a', pods.filter((_, i) => i % 2 === 0)],
    ['seg-b', pods.filter((_, i) => i % 2 === 1)],
    ['seg-rest', all.filter((one) => !one.pod)],
  ];
  const svg = draw('svg', { viewBox: '0 0 1000 10', preserveAspectRatio: 'none', 'aria-hidden': 'true' },
    layers.filter(([, some]) => some.length).map(([kind, some]) => draw('path', { class: kind, d: path(some) })));
  const made = el('span', { class: 'bar' }, svg);
  made.segments = all;
  return made;
}

function barRow(name, node, field, say) {
  const [used, all] = [node.used[field], node.allocatable[field]];
  return el('span', { class: 'bar-row' }, el('span', {}, `${name} ${percent(used, all)}`), el('span', {}, `${say(used)} of ${say(all)}`), bar(node, field));
}

/** Nodes of somebody else have no price. */
function nodePrice(node) {
  return node.claim ? datum(node.price, price(node.price)) : 'no price';
}

function capacityName(node) {
  return node.capacityType || 'not ours';
}

function nodeLabel(node) {
  return `${node.name}, ${node.instanceType || 'unknown type'}, ${capacityName(node)}, ${several(node.pods.length, 'pod')}, ` +
    `CPU ${percent(node.used.cpuMillis, node.allocatable.cpuMillis)}, memory ${percent(node.used.memoryBytes, node.allocatable.memoryBytes)}`;
}

function nodeBox(node) {
  const state = node.ready ? '' : ' · not ready';
  const box = el('button', { type: 'button', class: `node ${node.capacityType || ''}`, 'aria-label': nodeLabel(node), onclick: () => openNode(node) },
    el('span', { class: 'line' },
      el('span', { class: 'type' }, node.instanceType || 'unknown type'),
      el('span', { class: 'price' }, tilde(node.estimated), nodePrice(node))),
    el('span', { class: 'line' },
      el('span', {}, `${capacityName(node)} · ${node.zone || 'no zone'}${state}`),
      el('span', { class: 'price' }, several(node.pods.length + leftOut(node), 'pod'))),
    el('span', { class: 'name' }, node.name),
    barRow('CPU', node, 'cpuMillis', cpu),
    barRow('Memory', node, 'memoryBytes', memory));
  return box;
}

function leftOut(node) {
  return words.podsLeftOut[picture.which][node.name] || 0;
}

function podText(pod) {
  return `${pod.name}\n${cpu(pod.cpuMillis)} CPU, ${memory(pod.memoryBytes)} memory${pod.daemon ? '\nof a DaemonSet or of the node itself' : ''}`;
}

/** Marks a pod in both bars of its node and says what it is. */
function hoverPod(event) {
  const over = event.target.closest('.bar'), box = event.target.closest('.node');
  document.querySelectorAll('.seg-hot').forEach((hot) => hot.remove());
  if (!over || !box) return hideTip();
  const rect = over.getBoundingClientRect();
  const at = (event.clientX - rect.left) / rect.width * 1000;
  const hit = over.segments.find((one) => at >= one.from && at < one.to);
  if (!hit) return showTip(event.clientX, event.clientY, 'free');
  for (const other of box.querySelectorAll('.bar')) {
    const same = other.segments.filter((one) => one.pod === hit.pod);
    if (same.length) other.firstChild.append(draw('path', { class: 'seg-hot', d: path(same) }));
  }
  showTip(event.clientX, event.clientY, hit.pod ? podText(hit.pod) : 'pods that this page leaves out');
}

function leaveNodes() {
  document.querySelectorAll('.seg-hot').forEach((hot) => hot.remove());
  hideTip();
}

/** All there is about one node, for the keyboard, for touch and for long names. */
function openNode(node) {
  hideTip();
  byId('node-dialog-title').textContent = node.name;
  const facts = [
    ['NodePool', poolLabel(node.nodePool)], ['NodeClaim', node.claim || 'none'], ['Instance type', node.instanceType || 'unknown'],
    ['Zone', node.zone || 'unknown'], ['Bought', capacityName(node)], ['Price', [tilde(node.estimated), nodePrice(node)]],
    ['Since', when(node.launched)], ['Ready', node.ready ? 'yes' : 'no'],
    ['CPU', `${cpu(node.used.cpuMillis)} of ${cpu(node.allocatable.cpuMillis)}`],
    ['Memory', `${memory(node.used.memoryBytes)} of ${memory(node.allocatable.memoryBytes)}`],
    ...Object.entries(node.allocatable.extended || {}).map(([name, amount]) => [name, `${count((node.used.extended || {})[name] || 0)} of ${count(amount)}`]),
  ];
  const rows = ordered(node.pods, 'cpuMillis').map((pod) =>
    [[pod.name, pod.daemon && el('span', { class: 'muted' }, ' (DaemonSet or node)')], cpu(pod.cpuMillis), memory(pod.memoryBytes)]);
  const rest = leftOut(node);
  byId('node-dialog-body').replaceChildren(
    el('dl', { class: 'settings' }, facts.map(([name, value]) => el('div', {}, el('dt', {}, name), el('dd', {}, value)))),
    rows.length ? table('Pods', [['Pod'], ['CPU', 'num'], ['Memory', 'num']], rows) : el('p', { class: 'empty' }, 'No pods.'),
    ...(rest ? [el('p', { class: 'hint' }, `${several(rest, 'pod')} more, left out of this page.`)] : []));
  byId('node-dialog').showModal();
}

function poolPicture(pool, nodes) {
  const sorted = nodes.map((node, i) => [node, i]).sort(([a, i], [b, j]) => ORDERS[picture.order](a, b) || i - j).map(([node]) => node);
  const grid = el('div', { class: 'nodes' });
  const more = el('div', { class: 'more-row controls' });
  let shown = 0;
  const show = (upTo) => {
    grid.append(...sorted.slice(shown, upTo).map(nodeBox));
    shown = Math.min(upTo, sorted.length);
    const rest = sorted.length - shown;
    more.replaceChildren(...(rest ? [
      el('button', { type: 'button', onclick: () => show(shown + NODES_AT_ONCE) }, `Show ${Math.min(rest, NODES_AT_ONCE)} more`),
      rest > NODES_AT_ONCE ? el('button', { type: 'button', onclick: () => show(sorted.length) }, `Show all ${count(sorted.length)}`) : '',
      el('span', { class: 'muted' }, `${count(shown)} of ${several(sorted.length, 'node')}`),
    ] : []));
  };
  show(NODES_AT_ONCE);
  return el('details', { class: 'pool', open: true, '--pool': colourOf(pool) },
    el('summary', {}, el('span', { class: 'swatch' }), el('h3', {}, poolLabel(pool)), el('span', { class: 'muted' }, ` · ${several(sorted.length, 'node')}`)),
    grid, more);
}

function drawPictures() {
  const [, list] = PICTURES[picture.which];
  byId('picture-hint').replaceChildren(`${when(list.at)}: ${several(list.nodes.length + missing(picture.which), 'node')}, `, datum(list.price, rate(list.price)),
    '. Each bar is what a node can give to pods. Point at a segment for its pod; choose a node for all its pods.');
  const pools = poolNames.filter((pool) => list.nodes.some((node) => node.nodePool === pool));
  byId('pictures').replaceChildren(...(pools.length
    ? pools.map((pool) => poolPicture(pool, list.nodes.filter((node) => node.nodePool === pool)))
    : [el('p', { class: 'empty' }, 'There are no nodes at this moment.')]));
}

function setUpPacking() {
  byId('picture-switch').append(...Object.entries(PICTURES).map(([which, [name, list]]) => el('label', {},
    el('input', { type: 'radio', name: 'picture', value: which, checked: which === picture.which,
      onchange: () => { picture.which = which; drawPictures(); } }),
    el('span', {}, `${name}, ${when(list.at)}`))));
  byId('picture-order').addEventListener('change', (event) => { picture.order = event.target.value; drawPictures(); });
  byId('pictures').addEventListener('pointermove', hoverPod);
  byId('pictures').addEventListener('pointerleave', leaveNodes);
  byId('packing').style.setProperty('--pool', 'var(--p0)');
  drawPictures();
}
