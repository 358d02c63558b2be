// What the reader does with the charts: pointing, zooming, and the events of the scenario above them.

const events = record.timeline.filter((entry) => entry.kind === 'scenario').map((entry, i) => ({ ...entry, number: i + 1 }));
let laneMarks = null;

/** Events that lie closer than a mark is wide share one. */
function clusters(across) {
  const made = [];
  for (const event of events) {
    if (event.at < view.from || event.at > view.to) continue;
    const x = across.x(event.at);
    const last = made[made.length - 1];
    if (last && x - last.right < 6) last.events.push(event); else made.push({ x, events: [event] });
    const one = made[made.length - 1];
    const label = markLabel(one.events);
    one.half = 5 + label.length * 3.6;
    one.right = one.x + one.half + 14;
  }
  return made;
}

function markLabel(some) {
  return some.length === 1 ? String(some[0].number) : `${some[0].number}–${some[some.length - 1].number}`;
}

function eventText(event) {
  return `${when(event.at)}  ${[event.object, event.text].filter(Boolean).join(': ')}`;
}

function drawLane(width) {
  const across = scale(width);
  const svg = draw('svg', { viewBox: `0 0 ${width} ${LANE}`, height: LANE, role: 'group', 'aria-label': 'Events of the scenario' });
  for (const { x, half, events: some } of clusters(across)) {
    const center = Math.min(Math.max(x, LEFT - 40 + half), width - half - 2);
    const said = some.slice(0, 8).map(eventText).join('\n') + (some.length > 8 ? `\nand ${some.length - 8} more` : '');
    const show = (event) => { pointAt(some[0].at); showTip(event.clientX, event.clientY, said); };
    const mark = draw('g', { class: 'mark', tabindex: 0, role: 'img', 'aria-label': said, onpointermove: show, onpointerleave: hideTip,
      onfocus: () => { const box = mark.getBoundingClientRect(); showTip(box.left, box.top, said); pointAt(some[0].at); }, onblur: hideTip },
      draw('rect', { x: center - half, y: 6, width: half * 2, height: 18, rx: 9 }),
      draw('text', { x: center, y: 19 }, markLabel(some)));
    svg.append(mark, draw('line', { x1: x, x2: x, y1: 24, y2: LANE, class: 'event-line' }));
  }
  laneMarks.replaceChildren(svg);
}

function drawCharts() {
  const plots = charts[0].plot;
  const width = Math.floor(plots.getBoundingClientRect().width);
  if (width < 50) return;
  view.width = width;
  hideTip();
  if (events.length) drawLane(width);
  for (const chart of charts) drawChart(chart, width);
  byId('zoom-reset').hidden = view.from === settings.start && view.to === Math.max(settings.end, settings.start + 1);
  showCursor();
}

/** Puts the cursor and the read-outs where the reader points; at the end when nowhere. */
function showCursor() {
  const at = view.cursor === null ? view.to : view.cursor;
  const i = sampleAt(at);
  const moment = view.cursor === null && view.to >= settings.end ? 'at the end' : when(at);
  for (const chart of charts) {
    chart.moment.textContent = moment;
    for (const readout of chart.readouts) readout(i);
    if (!chart.cursor) continue;
    chart.cursor.setAttribute('visibility', view.cursor === null ? 'hidden' : 'visible');
    if (view.cursor === null) continue;
    const x = Math.round(scale(view.width).x(at)) + 0.5;
    chart.cursor.setAttribute('x1', x);
    chart.cursor.setAttribute('x2', x);
  }
}

function pointAt(at) {
  view.cursor = at === null ? null : Math.min(view.to, Math.max(view.from, Math.round(at)));
  showCursor();
}

function lookAt(from, to) {
  const whole = [settings.start, Math.max(settings.end, settings.start + 1)];
  const span = Math.min(whole[1] - whole[0], Math.max(1000, to - from));
  view.from = Math.round(Math.min(Math.max(whole[0], from), whole[1] - span));
  view.to = view.from + Math.round(span);
  if (view.cursor !== null) view.cursor = Math.min(view.to, Math.max(view.from, view.cursor));
  drawCharts();
}

function lookAtAll() {
  view.cursor = null;
  lookAt(settings.start, Math.max(settings.end, settings.start + 1));
}

function watchPointer(plot) {
  let pressed = null;
  const timeOf = (event) => {
    const box = plot.getBoundingClientRect();
    return scale(box.width).time(event.clientX - box.left);
  };
  plot.addEventListener('pointermove', (event) => {
    pointAt(timeOf(event));
    if (pressed !== null) showZoom(pressed, timeOf(event));
  });
  plot.addEventListener('pointerdown', (event) => {
    if (event.pointerType === 'touch') return pointAt(timeOf(event));
    if (event.button !== 0) return;
    pressed = timeOf(event);
    plot.setPointerCapture(event.pointerId);
    event.preventDefault();
    byId('charts').focus({ preventScroll: true });
  });
  plot.addEventListener('pointerup', (event) => {
    if (pressed === null) return;
    const [from, to] = [pressed, timeOf(event)].sort((a, b) => a - b);
    pressed = null;
    showZoom(0, 0);
    if ((to - from) / (view.to - view.from) > 0.015) lookAt(from, to);
  });
  plot.addEventListener('pointercancel', () => { pressed = null; showZoom(0, 0); });
  plot.addEventListener('pointerleave', (event) => { if (pressed === null && event.pointerType !== 'touch') pointAt(null); });
}

function showZoom(from, to) {
  for (const chart of charts) {
    const across = scale(view.width);
    const [left, right] = [across.x(from), across.x(to)].sort((a, b) => a - b);
    chart.zoom.setAttribute('visibility', from === to ? 'hidden' : 'visible');
    chart.zoom.setAttribute('x', left);
    chart.zoom.setAttribute('width', right - left);
  }
}

function watchKeys(event) {
  if (event.target !== event.currentTarget || event.ctrlKey || event.metaKey || event.altKey) return;
  const span = view.to - view.from, at = view.cursor === null ? view.to : view.cursor;
  const step = span / (event.shiftKey ? 20 : 120);
  const moves = {
    ArrowLeft: () => pointAt(at - step),
    ArrowRight: () => pointAt(at + step),
    Home: () => pointAt(view.from),
    End: () => pointAt(view.to),
    '+': () => lookAt(at - span / 4, at + span / 4),
    '=': () => lookAt(at - span / 4, at + span / 4),
    '-': () => lookAt(at - span, at + span),
    Escape: lookAtAll,
  };
  if (!moves[event.key]) return;
  event.preventDefault();
  moves[event.key]();
  sayCursor();
}

/** Tells a screen reader what the cursor stands on. */
function sayCursor() {
  const i = sampleAt(view.cursor === null ? view.to : view.cursor);
  const { price: now, waitingPods, nodePools } = samples[i];
  const nodes = nodePools.reduce((sum, pool) => sum + pool.spot + pool.onDemand + pool.reserved, 0);
  byId('cursor-status').textContent =
    `${when(view.cursor === null ? view.to : view.cursor)}: ${rate(now)}, ${several(nodes, 'node')}, ${several(waitingPods, 'pod')} pending`;
}

function listEvents() {
  const details = byId('events');
  if (!events.length) return;
  details.hidden = false;
  details.open = events.length <= 24;
  details.querySelector('summary').textContent = `${several(events.length, 'event')} of the scenario`;
  details.querySelector('ol').append(...events.map((event) => el('li', {},
    el('span', { class: 'number' }, event.number), timeElement(event.at),
    el('span', {}, event.object && el('b', {}, event.object, ' '), event.text))));
}

function setUpCharts() {
  const holder = byId('charts');
  if (!samples.length) {
    holder.replaceWith(el('p', { class: 'empty' }, 'Nothing was sampled: the simulation ended before it began.'));
    byId('chart-hint').hidden = true;
    return;
  }
  const add = () => {
    const plot = el('div', { class: 'plot' }), caption = el('figcaption');
    holder.append(el('figure', { class: 'chart' }, plot, caption));
    watchPointer(plot);
    return { plot, caption };
  };
  if (events.length) {
    laneMarks = el('div', { class: 'plot' });
    holder.append(el('div', { class: 'chart' }, laneMarks, el('p', { class: 'lane-title muted' }, 'Events of the scenario')));
  }
  for (const spec of chartSpecs()) charts.push({ ...add(), spec });
  charts[charts.length - 1].last = true;
  charts.forEach(legend);
  const pools = byId('load-pool');
  pools.append(el('option', { value: '' }, 'all nodes'), ...poolNames.map((name) => el('option', { value: name }, poolLabel(name))));
  pools.addEventListener('change', () => {
    view.loadPool = pools.value;
    chartSpecs().forEach((spec, i) => { charts[i].spec = spec; legend(charts[i]); });
    drawCharts();
  });
  holder.addEventListener('keydown', watchKeys);
  byId('zoom-reset').addEventListener('click', lookAtAll);
  new ResizeObserver(drawCharts).observe(holder);
  listEvents();
}
