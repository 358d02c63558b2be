// The timeline: filtered by kind, NodePool and words, a few hundred lines at a time.

const LINES_AT_ONCE = 200;
const KIND_CLASS = {
  violation: 'bad', failed: 'bad', unplaced: 'bad', interrupted: 'bad', insufficientCapacity: 'warn', notice: 'warn', reclaimed: 'warn',
  ready: 'good', jobDone: 'good',
};
const filter = { kinds: new Set(), pool: '', needle: '' };
let found = [];

const KINDS = new Map(words.kinds.map(({ kind, word }) => [kind, word]));

function kindWord(kind) {
  return KINDS.get(kind) || kind;
}

function line(entry) {
  return el('li', {}, timeElement(entry.at), el('span', { class: `kind ${KIND_CLASS[entry.kind] || ''}` }, kindWord(entry.kind)),
    el('span', { class: 'what' }, entry.object && el('b', {}, entry.object), entry.object && ' ', entry.text,
      entry.nodePool && el('span', { class: 'muted' }, ` · ${entry.nodePool}`)));
}

function matches(entry) {
  if (filter.kinds.size && !filter.kinds.has(entry.kind)) return false;
  if (filter.pool && entry.nodePool !== filter.pool) return false;
  return !filter.needle || [entry.object, entry.text, entry.nodePool || ''].join(' ').toLowerCase().includes(filter.needle);
}

function showMoreLines() {
  const list = byId('timeline-list');
  const shown = list.childElementCount;
  list.append(...found.slice(shown, shown + LINES_AT_ONCE).map(line));
  const rest = found.length - list.childElementCount;
  byId('timeline-more').hidden = rest <= 0;
  byId('timeline-more').textContent = `Show ${count(Math.min(rest, LINES_AT_ONCE))} more of ${count(rest)}`;
}

function showTimeline() {
  found = record.timeline.filter(matches);
  const all = several(record.timeline.length, 'entry', 'entries');
  byId('timeline-count').textContent = found.length === record.timeline.length ? all : `${count(found.length)} of ${all}`;
  byId('timeline-list').replaceChildren();
  showMoreLines();
}

function kindChips() {
  const counts = new Map();
  for (const { kind } of record.timeline) counts.set(kind, (counts.get(kind) || 0) + 1);
  const known = [...KINDS.keys()].filter((kind) => counts.has(kind));
  return known.map((kind) => {
    const chip = el('button', { type: 'button', 'aria-pressed': 'false', onclick: () => {
      const on = !filter.kinds.delete(kind);
      if (on) filter.kinds.add(kind);
      chip.setAttribute('aria-pressed', String(on));
      showTimeline();
    } }, `${kindWord(kind)} ${count(counts.get(kind))}`);
    return chip;
  });
}

function setUpTimeline() {
  byId('timeline-kinds').append(...kindChips());
  const pools = byId('timeline-pool');
  pools.append(el('option', { value: '' }, 'any'), ...poolNames.map((name) => el('option', { value: name }, poolLabel(name))));
  pools.addEventListener('change', () => { filter.pool = pools.value; showTimeline(); });
  byId('timeline-search').addEventListener('input', (event) => { filter.needle = event.target.value.toLowerCase(); showTimeline(); });
  byId('timeline-more').addEventListener('click', showMoreLines);
  showTimeline();
}
