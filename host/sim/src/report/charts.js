// Charts over time: steps on one shared axis, a cursor through all of them, a window that can be narrowed.

const LEFT = 62, RIGHT = 10, TOP = 10, BOTTOM = 20, LANE = 30;
const charts = [];

/** One layer: a name, how it is painted, and a value per sample. */
function layer(name, style, value) {
  return { name, style, values: samples.map(value) };
}

function ofPool(pool, field) {
  return (sample) => {
    const found = sample.nodePools.find((one) => one.name === pool);
    return found ? found[field] : 0;
  };
}

function sumOver(field) {
  return (sample) => sample.nodePools.reduce((sum, pool) => sum + pool[field], 0);
}

function loadOf(field) {
  return view.loadPool ? ofPool(view.loadPool, field) : sumOver(field);
}

/** Layers that stay zero say nothing. */
function somewhere(one) {
  return one.values.some((value) => value > 0);
}

/** As high as its legend beside it, within reason. */
function heightFor(layers) {
  return narrow() ? 160 : Math.min(330, Math.max(160, 60 + layers.length * 21));
}

function costChart() {
  const layers = poolNames.map((pool) => layer(poolLabel(pool), paint(pool), ofPool(pool, 'price'))).filter(somewhere);
  const say = (micros) => (record.totals.estimated ? `~${rate(micros)}` : rate(micros));
  return { title: 'Cost per hour', say, axis: (micros) => dollars(micros, micros % 1000000 ? (micros % 10000 ? 3 : 2) : 0),
    height: heightFor(layers), layers, whole: { name: 'all', values: samples.map((sample) => sample.price) } };
}

function nodesChart() {
  const layers = poolNames.flatMap((pool) => CAPACITY.map(([field, name]) =>
    layer(`${poolLabel(pool)}, ${name}`, paint(pool, name), ofPool(pool, field)))).filter(somewhere);
  const all = (sample) => CAPACITY.reduce((sum, [field]) => sum + sumOver(field)(sample), 0);
  return { title: 'Nodes', say: count, axis: count, height: heightFor(layers), layers, whole: { name: 'all', values: samples.map(all) } };
}

function waitingChart() {
  const waiting = layer('waiting for a node', 'fill: var(--bad)', (sample) => sample.waitingPods);
  return { title: 'Pending pods', say: count, axis: count, height: 110, layers: [waiting],
    beside: [{ name: 'pods in the cluster', values: samples.map((sample) => sample.pods) }] };
}

function loadChart(title, say, axis, requested, allocatable) {
  const fill = view.loadPool ? paint(view.loadPool) : 'fill: var(--muted)';
  const used = layer('requested', fill, loadOf(requested));
  const room = { name: 'allocatable', values: samples.map(loadOf(allocatable)) };
  return { title, say, axis, height: 120, layers: [used], outline: room,
    share: { name: 'utilisation', part: used.values, of: room.values } };
}

function chartSpecs() {
  return [
    costChart(), nodesChart(), waitingChart(),
    loadChart('CPU', cpu, cpu, 'cpuRequestedMillis', 'cpuAllocatableMillis'),
    loadChart('Memory', memory, memory, 'memoryRequestedBytes', 'memoryAllocatableBytes'),
  ];
}

/** The sample in force at a moment. */
function sampleAt(at) {
  let low = 0, high = samples.length - 1;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (samples[middle].at <= at) low = middle; else high = middle - 1;
  }
  return low;
}

/** The samples to draw: all in the window, or per pixel column the highest, the lowest and the last. */
function chosen(tops, columns) {
  const first = sampleAt(view.from), last = sampleAt(view.to);
  if (last - first < columns * 2) return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  const kept = [];
  let bucket = [], edge = -1;
  const flush = () => {
    if (!bucket.length) return;
    const by = (better) => bucket.reduce((best, i) => better(tops[i], tops[best]) ? i : best);
    kept.push(...new Set([by((a, b) => a > b), by((a, b) => a < b), bucket[bucket.length - 1]].sort((a, b) => a - b)));
    bucket = [];
  };
  for (let i = first; i <= last; i++) {
    const column = Math.floor((samples[i].at - view.from) / (view.to - view.from) * columns);
    if (column !== edge) flush();
    edge = column;
    bucket.push(i);
  }
  flush();
  return kept;
}

function niceStep(max, base) {
  if (max <= 0) return 1;
  const rough = max / 4;
  const power = base ** Math.floor(Math.log(rough) / Math.log(base));
  const factors = base === 1024 ? [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024] : [1, 2, 2.5, 5, 10];
  return power * factors.find((factor) => factor * power >= rough * 0.999);
}

const TIME_STEPS = [1000, 5000, 15000, 30000, MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR,
  3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 7 * DAY, 14 * DAY, 28 * DAY, 56 * DAY, 112 * DAY];

function timeTicks(width) {
  const most = Math.max(2, Math.floor(width / 76));
  const step = TIME_STEPS.find((size) => (view.to - view.from) / size <= most) || 365 * DAY;
  const text = step >= DAY ? clock.day : step < MINUTE ? clock.second : clock.minute;
  const first = Math.ceil((view.from + clock.offset) / step) * step - clock.offset;
  const ticks = [];
  for (let at = first; at <= view.to; at += step) {
    const midnight = step < DAY && (at + clock.offset) % DAY === 0 && manyDays;
    ticks.push([at, midnight ? clock.day(at) : text(at)]);
  }
  return ticks;
}

function scale(width) {
  const inner = Math.max(40, width - LEFT - RIGHT);
  return {
    inner,
    x: (at) => LEFT + (at - view.from) / (view.to - view.from) * inner,
    time: (x) => view.from + Math.min(1, Math.max(0, (x - LEFT) / inner)) * (view.to - view.from),
  };
}

/** A stepped line over the chosen samples, as path commands without the first move. */
function steps(indices, values, across, y) {
  const points = [];
  let level = null;
  for (const i of indices) {
    const x = across.x(Math.max(samples[i].at, view.from)).toFixed(1), next = y(values[i]).toFixed(1);
    points.push(level === null ? `${x} ${next}` : `H${x}V${next}`);
    level = next;
  }
  points.push(`H${across.x(view.to).toFixed(1)}`);
  return points.join('');
}

/** The same line backwards, to close an area. */
function stepsBack(indices, values, across, y) {
  let path = `L${across.x(view.to).toFixed(1)} ${y(values[indices[indices.length - 1]]).toFixed(1)}`;
  for (let k = indices.length - 1; k >= 0; k--) {
    path += `H${across.x(Math.max(samples[indices[k]].at, view.from)).toFixed(1)}`;
    if (k > 0) path += `V${y(values[indices[k - 1]]).toFixed(1)}`;
  }
  return path + 'Z';
}

/** Running sums of the layers, the bottom first. */
function stack(layers) {
  const sums = [samples.map(() => 0)];
  for (const one of layers) sums.push(one.values.map((value, i) => sums[sums.length - 1][i] + value));
  return sums;
}

function drawAxes(svg, chart, across, y, top) {
  const step = niceStep(top, chart.axis === memory ? 1024 : 10);
  const whole = chart.axis === count ? Math.max(1, Math.round(step)) : step;
  for (let value = 0; value <= top * 1.0001; value += whole) {
    const at = Math.round(y(value)) + 0.5;
    svg.append(draw('line', { x1: LEFT, x2: LEFT + across.inner, y1: at, y2: at, class: value ? 'grid-line' : 'base-line' }),
      draw('text', { x: LEFT - 7, y: at + 4, 'text-anchor': 'end', class: 'axis-text' }, value ? chart.axis(Math.round(value)) : '0'));
  }
}

function drawTimeAxis(svg, across, baseline, labels) {
  for (const [at, text] of timeTicks(across.inner)) {
    const x = Math.round(across.x(at)) + 0.5;
    svg.append(draw('line', { x1: x, x2: x, y1: baseline, y2: baseline + 4, class: 'base-line' }));
    const half = text.length * 3.1;
    const from = Math.min(Math.max(x, LEFT - 30 + half), LEFT + across.inner + RIGHT - half);
    if (labels) svg.append(draw('text', { x: from, y: baseline + 15, 'text-anchor': 'middle', class: 'axis-text' }, text));
  }
}

function drawChart(chart, width) {
  const across = scale(width), { spec } = chart;
  const sums = stack(spec.layers), tops = sums[sums.length - 1];
  const indices = chosen(spec.outline ? spec.outline.values : tops, across.inner);
  const highest = indices.reduce((max, i) => Math.max(max, tops[i], spec.outline ? spec.outline.values[i] : 0), 0) || 1;
  const bottom = spec.height - BOTTOM;
  const y = (value) => bottom - value / (highest * 1.06) * (bottom - TOP);
  const svg = draw('svg', { viewBox: `0 0 ${width} ${spec.height}`, height: spec.height, role: 'img', 'aria-label': summary(spec) });
  drawAxes(svg, spec, across, y, highest);
  spec.layers.forEach((one, k) => svg.append(draw('path', {
    d: 'M' + steps(indices, sums[k + 1], across, y) + stepsBack(indices, sums[k], across, y),
    style: `${one.style}; stroke: var(--surface); stroke-width: ${spec.layers.length > 1 ? 0.6 : 0}`,
  })));
  if (spec.outline) {
    svg.append(draw('path', { d: 'M' + steps(indices, spec.outline.values, across, y),
      style: 'fill: none; stroke: var(--text); stroke-width: 1.5' }));
  }
  for (const { at } of events) {
    if (at < view.from || at > view.to) continue;
    const x = across.x(at).toFixed(1);
    svg.append(draw('line', { x1: x, x2: x, y1: 0, y2: bottom, class: 'event-line' }));
  }
  drawTimeAxis(svg, across, bottom, chart.last || narrow());
  chart.cursor = draw('line', { y1: 0, y2: bottom, class: 'cursor-line', visibility: 'hidden' });
  chart.zoom = draw('rect', { y: 0, height: bottom, class: 'zoom-area', visibility: 'hidden' });
  svg.append(chart.zoom, chart.cursor);
  chart.plot.replaceChildren(svg);
}

function narrow() {
  return matchMedia('(max-width: 820px)').matches;
}

/** A chart in a sentence, for those who cannot see it. */
function summary(spec) {
  const last = samples.length - 1;
  const parts = [...(spec.whole ? [spec.whole] : []), ...spec.layers, ...(spec.outline ? [spec.outline] : [])].slice(0, 8);
  const said = parts.map((one) => `${one.name} ${spec.say(one.values[last])}`).join(', ');
  return `${spec.title} from ${when(settings.start)} to ${when(settings.end)}; at the end: ${said || 'nothing'}`;
}

/** The legend is the read-out: each name with its value at the cursor. */
function legend(chart) {
  const { spec } = chart;
  const swatch = (style) => draw('svg', { viewBox: '0 0 14 14', 'aria-hidden': 'true' }, draw('rect', { width: 14, height: 14, rx: 2, style }));
  const line = draw('svg', { viewBox: '0 0 14 14', 'aria-hidden': 'true' },
    draw('path', { d: 'M0 7H14', style: 'stroke: var(--text); stroke-width: 2; fill: none' }));
  chart.readouts = [];
  const row = (mark, name, text, kind) => {
    const value = el('span', { class: 'amount' });
    chart.readouts.push((i) => { value.textContent = text(i); });
    return el('li', { class: kind }, mark || el('span'), el('span', { class: 'label' }, name), value);
  };
  const rows = [];
  if (spec.whole) rows.push(row(null, spec.whole.name, (i) => spec.say(spec.whole.values[i]), 'total'));
  if (spec.share) rows.push(row(null, spec.share.name, (i) => percent(spec.share.part[i], spec.share.of[i]), 'total'));
  if (spec.outline) rows.push(row(line, spec.outline.name, (i) => spec.say(spec.outline.values[i])));
  for (const one of spec.layers) rows.push(row(swatch(one.style), one.name, (i) => spec.say(one.values[i])));
  for (const one of spec.beside || []) rows.push(row(null, one.name, (i) => spec.say(one.values[i])));
  chart.moment = el('span', { class: 'muted' });
  const list = el('ul', {}, rows);
  chart.caption.replaceChildren(el('b', {}, spec.title, chart.moment), list);
  if (list.scrollHeight > list.clientHeight) fill(list, { tabindex: 0, 'aria-label': `Values of ${spec.title}` }, []);
}
