// The record, and what the whole page shares: names, colours, the clock, the window of time that is looked at.

const record = JSON.parse(byId('record').textContent);
const words = JSON.parse(byId('words').textContent);
const { settings, totals, samples } = record;
const clock = clockAt(settings.utcOffsetSeconds);
const NO_POOL = '(none)';
const HUES = 8;
const CAPACITY = [['onDemand', 'on-demand'], ['spot', 'spot'], ['reserved', 'reserved']];

const poolNames = [...new Set([
  ...record.nodePools.map((pool) => pool.name),
  ...samples.flatMap((sample) => sample.nodePools.map((pool) => pool.name)),
  ...[record.peak, record.last].flatMap((list) => list.nodes.map((node) => node.nodePool)),
])].sort();

function hueOf(pool) {
  return pool === NO_POOL ? HUES : poolNames.filter((name) => name !== NO_POOL).indexOf(pool) % HUES;
}

function colourOf(pool) {
  return `var(--p${hueOf(pool)})`;
}

function poolLabel(pool) {
  return pool === NO_POOL ? 'no NodePool' : pool;
}

/** The time of day; with the day when the simulation goes over more than one. */
const manyDays = clock.date(settings.start) !== clock.date(settings.end);

function when(at) {
  return manyDays ? `${clock.day(at)} ${clock.second(at)}` : clock.second(at);
}

function timeElement(at) {
  return el('time', { datetime: new Date(at).toISOString() }, when(at));
}

/** What the charts look at: a window of time, the moment that is pointed at, whose load; and how wide they are. */
const view = { from: settings.start, to: Math.max(settings.end, settings.start + 1), cursor: null, loadPool: '', width: 0 };

/** Solid for on-demand, stripes for spot, dots for reserved, in the colour of the NodePool. */
function definePatterns() {
  const defs = draw('defs');
  for (let hue = 0; hue <= HUES; hue++) {
    const colour = `var(--p${hue})`;
    const ground = () => draw('rect', { width: 6, height: 6, style: `fill: color-mix(in srgb, ${colour} 42%, var(--surface))` });
    const size = { width: 6, height: 6, patternUnits: 'userSpaceOnUse' };
    defs.append(
      draw('pattern', { id: `spot-${hue}`, patternTransform: 'rotate(45)', ...size }, ground(),
        draw('rect', { width: 2.6, height: 6, style: `fill: ${colour}` })),
      draw('pattern', { id: `reserved-${hue}`, ...size }, ground(),
        draw('circle', { cx: 3, cy: 3, r: 1.6, style: `fill: ${colour}` })));
  }
  byId('patterns').append(defs);
}

function paint(pool, capacity) {
  const hue = hueOf(pool);
  return capacity === 'spot' || capacity === 'reserved' ? `fill: url(#${capacity}-${hue})` : `fill: var(--p${hue})`;
}
