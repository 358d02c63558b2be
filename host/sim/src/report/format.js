// How integers of the record become words. Nothing here adds anything up; each number on the page is one number of
// the record, formatted once.

const MINUTE = 60000, HOUR = 60 * MINUTE, DAY = 24 * HOUR;
const WEEKDAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

function grouped(digits) {
  return String(digits).replace(/\B(?=(\d{3})+(?!\d))/g, ',');
}

function count(number) {
  return grouped(number);
}

/** `1 node`, `2 nodes`. */
function several(number, one, many) {
  return `${count(number)} ${number === 1 ? one : many || one + 's'}`;
}

/** Micro-dollars with so many decimals, rounded to nearest: `$1,234.56`. */
function dollars(micros, decimals) {
  const unit = 10 ** (6 - decimals);
  const rounded = Math.round(micros / unit);
  const whole = Math.floor(rounded / 10 ** decimals);
  const rest = String(rounded % 10 ** decimals).padStart(decimals, '0');
  return `$${grouped(whole)}${decimals ? '.' + rest : ''}`;
}

function cost(micros) {
  return dollars(micros, micros > 0 && micros < 1000000 ? 4 : 2);
}

/** The price of one instance, with the decimals of EC2's price lists. */
function price(micros) {
  return dollars(micros, 4) + '/h';
}

/** What many instances cost per hour. */
function rate(micros) {
  return dollars(micros, micros === 0 ? 0 : micros < 10000000 ? 3 : 2) + '/h';
}

function shortened(number, decimals) {
  const text = number.toFixed(decimals);
  return decimals ? text.replace(/\.?0+$/, '') : text;
}

function cpu(millis) {
  if (millis < 1000) return `${millis}m`;
  return grouped(shortened(millis / 1000, millis < 100000 ? 2 : 0));
}

function memory(bytes) {
  const units = [['Ti', 2 ** 40], ['Gi', 2 ** 30], ['Mi', 2 ** 20], ['Ki', 2 ** 10]];
  for (const [unit, size] of units) {
    if (bytes >= size) return shortened(bytes / size, bytes / size < 100 ? 1 : 0) + unit;
  }
  return String(bytes);
}

function percent(part, whole) {
  return whole > 0 ? `${(part * 100 / whole).toFixed(part * 1000 < whole * 999.5 ? 1 : 0)}%` : '–';
}

function ppm(parts) {
  return percent(parts, 1000000);
}

/** `1h 30m`, `4.2s`: two units at most. */
function duration(millis) {
  if (millis === 0) return '0s';
  if (millis < 1000) return `${millis}ms`;
  if (millis < MINUTE) return shortened(millis / 1000, 1) + 's';
  const seconds = Math.round(millis / 1000);
  const parts = [['d', 86400], ['h', 3600], ['m', 60], ['s', 1]].slice(millis > 2 * DAY ? 0 : 1);
  const first = parts.findIndex(([, size]) => seconds >= size);
  const [unit, size] = parts[first];
  const [nextUnit, nextSize] = parts[first + 1] || ['', 1];
  const next = Math.floor(seconds % size / nextSize);
  return `${Math.floor(seconds / size)}${unit}${next && nextUnit ? ` ${next}${nextUnit}` : ''}`;
}

/** A clock with a fixed offset from UTC, as the scenario asks for. */
function clockAt(offsetSeconds) {
  const two = (number) => String(number).padStart(2, '0');
  const local = (at) => new Date(at + offsetSeconds * 1000);
  const minutes = Math.abs(Math.trunc(offsetSeconds / 60));
  const sign = offsetSeconds < 0 ? '−' : '+';
  return {
    offset: offsetSeconds * 1000,
    zone: offsetSeconds === 0 ? 'UTC' : `UTC${sign}${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`,
    minute: (at) => `${two(local(at).getUTCHours())}:${two(local(at).getUTCMinutes())}`,
    second: (at) => local(at).toISOString().slice(11, 19),
    day: (at) => `${WEEKDAYS[local(at).getUTCDay()]} ${local(at).getUTCDate()} ${MONTHS[local(at).getUTCMonth()]}`,
    date: (at) => local(at).toISOString().slice(0, 10),
  };
}
