// The parts of the page that are words and tables.

function figure(name, integer, text, more, kind) {
  return el('li', { class: kind }, el('span', { class: 'name' }, name), el('span', { class: 'value' }, integer === null ? text : [].concat(
    text.before || [], datum(integer, text.text || text))), more && el('span', { class: 'more' }, more));
}

function showHeader() {
  byId('description').textContent = settings.description || '';
  byId('description').hidden = !settings.description;
  const facts = [
    ['Region', settings.region], ['From', `${clock.date(settings.start)} ${clock.second(settings.start)} ${clock.zone}`],
    ['To', `${clock.date(settings.end)} ${clock.second(settings.end)} ${clock.zone}`], ['Duration', duration(settings.end - settings.start)],
    ['Seed', words.seed],
  ];
  byId('settings').append(...facts.map(([name, value]) => el('div', {}, el('dt', {}, name), el('dd', {}, value))));
}

function showFigures() {
  const { waits } = totals;
  const unplaced = record.unplaced.length;
  byId('figures').append(
    figure('Total cost', totals.costMicros, { before: tilde(totals.estimated), text: cost(totals.costMicros) }, totals.estimated ? '~ some prices are estimates' : ''),
    figure('Peak cost per hour', totals.pricePeak, { before: tilde(totals.estimated), text: rate(totals.pricePeak) }, 'at the dearest moment'),
    figure('Most nodes', totals.nodesPeak, count(totals.nodesPeak), `${several(totals.launches, 'launch', 'launches')}`),
    figure('Pending, p95', waits.p95Millis, duration(waits.p95Millis), `p50 ${duration(waits.p50Millis)}, longest ${duration(waits.maxMillis)}`),
    figure('Pods placed', totals.podsPlaced, count(totals.podsPlaced), `${several(totals.decisions, 'decision')}`),
    figure('Evictions', totals.evictions, count(totals.evictions), 'pods asked to leave'),
    figure('Interrupted pods', totals.interruptedPods, count(totals.interruptedPods), 'their instance vanished', totals.interruptedPods ? 'bad' : ''),
    figure('Waiting at the end', totals.waitingAtEnd, count(totals.waitingAtEnd), totals.waitingAtEnd && unplaced ? 'some have no place, see below' : 'pods for a node', totals.waitingAtEnd ? 'bad' : ''),
  );
}

function notice(kind, ...children) {
  return el('div', { class: `notice ${kind}`, role: kind === 'bad' ? 'alert' : undefined }, children);
}

function showNotices() {
  const holder = byId('notices');
  if (record.violations.length) {
    holder.append(notice('bad', el('a', { href: '#violations' }, several(record.violations.length + missing('violations'), 'violation')),
      ': what breaks a rule is left out of its plan. This is a defect: please report it.'));
  }
  if (record.unplaced.length) {
    const waiting = record.unplaced.reduce((sum, one) => sum + one.waitingAtEnd, 0);
    const workloads = new Set(record.unplaced.map((one) => one.workload)).size;
    holder.append(notice(waiting ? 'bad' : '', el('a', { href: '#unschedulable' }, `${several(workloads, 'workload')} had pods that no NodePool could take`),
      waiting ? `: ${several(waiting, 'pod')} of them still ${waiting === 1 ? 'waits' : 'wait'} at the end.` : ': all of them found one, or were gone, by the end.'));
  }
  if (totals.estimated) holder.append(notice('', 'Prices marked ', tilde(true), ' are estimates. ', ESTIMATE));
  if (words.leftOut.length) {
    holder.append(notice('plain', 'To keep this page small, some of the record is left out of it. All of it is in ', el('code', {}, 'whittle simulate --output json'), '.',
      el('ul', {}, words.leftOut.map((one) => el('li', {}, `${one.words}: ${count(one.shown)} of ${count(one.total)}. ${one.kept}`)))));
  }
}

function missing(what) {
  return words.leftOut.filter((one) => one.what === what).reduce((sum, one) => sum + one.total - one.shown, 0);
}

function nameCell(pool) {
  return [el('span', { class: 'swatch', '--pool': colourOf(pool), 'aria-hidden': 'true' }), poolLabel(pool)];
}

function summaryTable() {
  const num = (heading, alone) => [heading, 'num', alone];
  const columns = [['NodePool'], num('Cost'), num('Per hour, at the end'), num('at most', 'Per hour, at most'), num('Nodes, at the end'), num('at most', 'Nodes, at most'),
    num('CPU in use'), num('Memory in use'), num('Pending p50'), num('p95', 'Pending p95'), num('Evictions')];
  const rows = record.nodePools.map((pool) => [
    nameCell(pool.name), [tilde(pool.estimated), datum(pool.costMicros, cost(pool.costMicros))],
    [tilde(pool.estimated), datum(pool.priceLast, rate(pool.priceLast))],
    [tilde(pool.estimated), datum(pool.pricePeak, rate(pool.pricePeak))],
    datum(pool.nodesLast, count(pool.nodesLast)), datum(pool.nodesPeak, count(pool.nodesPeak)),
    meter(pool.cpuUsedPpm), meter(pool.memoryUsedPpm),
    pool.waits.pods ? datum(pool.waits.p50Millis, duration(pool.waits.p50Millis)) : '–',
    pool.waits.pods ? datum(pool.waits.p95Millis, duration(pool.waits.p95Millis)) : '–',
    Object.entries(pool.evictions).map(([reason, pods]) => el('div', {}, `${reason} `, datum(pods, count(pods)))),
  ]);
  const foot = ['All', [tilde(totals.estimated), cost(totals.costMicros)], '', [tilde(totals.estimated), rate(totals.pricePeak)], '', count(totals.nodesPeak), '', '',
    duration(totals.waits.p50Millis), duration(totals.waits.p95Millis), count(totals.evictions)];
  return table(['What each NodePool comes to ', el('small', {}, 'use is averaged over the whole time; the most of all is not the sum, as peaks differ')],
    columns, rows, foot);
}

function kindsTable(pool) {
  const rows = pool.kinds.map((kind) => [kind.instanceType || 'unknown', kind.zone, kind.capacityType, datum(kind.launched, count(kind.launched)),
    datum(kind.last, count(kind.last)), datum(kind.runMillis, duration(kind.runMillis)),
    [tilde(pool.estimated), datum(kind.costMicros, cost(kind.costMicros))]]);
  return table(['Nodes of ', nameCell(pool.name)], [['Instance type'], ['Zone'], ['Bought'], ['Launched', 'num'], ['At the end', 'num'],
    ['Run time', 'num'], ['Cost', 'num']], rows);
}

function showPools() {
  const holder = byId('pool-tables');
  if (!record.nodePools.length) return holder.append(el('p', { class: 'empty' }, 'There was no NodePool and no node.'));
  const kinds = record.nodePools.filter((pool) => pool.kinds.length);
  holder.append(summaryTable());
  if (kinds.length) {
    holder.append(el('details', { class: 'more-list', open: kinds.length <= 6 }, el('summary', {}, 'By instance type, zone and way of buying'),
      el('div', { class: 'pool-tables-grid kinds' }, kinds.map(kindsTable))));
  }
}

function reasonBox(one, i) {
  const reasons = words.unplaced[i];
  return el('article', { class: 'reasons' },
    el('h3', {}, one.workload),
    el('p', { class: 'muted' }, `${several(one.pods, 'pod')}, first at ${when(one.first)}; `,
      one.waitingAtEnd ? `${count(one.waitingAtEnd)} still ${one.waitingAtEnd === 1 ? 'waits' : 'wait'} at the end` : 'none waits at the end',
      one.example.name !== one.workload ? ` · for example ${one.example.name}` : ''),
    el('ul', {}, reasons.map(({ nodePool, why }) => el('li', {}, nodePool && el('b', {}, `${nodePool}: `), why))),
    words.remedies[i] && el('p', { class: 'remedy' }, words.remedies[i]));
}

function showUnschedulable() {
  byId('unschedulable-list').append(...(record.unplaced.length
    ? record.unplaced.map(reasonBox)
    : [el('p', { class: 'empty' }, 'Every pod had a NodePool that could give it a place.')]));
  byId('kept').hidden = !record.blocked.length;
  if (record.blocked.length) {
    const rows = record.blocked.map((one, i) => [el('span', { class: 'wrap' }, one.claim), el('span', { class: 'wrap' }, words.blocked[i])]);
    byId('kept-list').append(table('What keeps them', [['NodeClaim'], ['Kept because']], rows));
  }
  byId('violations').hidden = !record.violations.length;
  byId('violation-list').append(...record.violations.map((one, i) => el('li', {}, timeElement(one.at), ' ', words.violations[i])));
}

function showSections() {
  const counts = { unschedulable: record.unplaced.length + missing('unplaced'), violations: record.violations.length + missing('violations') };
  const shown = [...document.querySelectorAll('main > section')].filter((section) => !section.hidden);
  byId('sections').append(...shown.map((section) => el('li', {}, el('a', { href: `#${section.id}` }, section.querySelector('h2').textContent,
    counts[section.id] ? [' ', el('span', { class: 'count' }, count(counts[section.id]))] : ''))));
}
